package golib

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"time"
)

// UntilInputEnds gives a context that is over when the suite wants the member to leave.
func UntilInputEnds() context.Context {
	ctx, over := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		over()
	}()
	return ctx
}

// Member says what it owns and what it read; its calls may come from any goroutine.
type Member struct {
	lock  sync.Mutex
	owned map[int32]bool
	said  string
}

func NewMember() *Member { return &Member{owned: map[int32]bool{}, said: "own"} }

func (m *Member) Read(partition int32, offset int64) {
	m.lock.Lock()
	defer m.lock.Unlock()
	fmt.Println(partition, offset)
}

func (m *Member) Gain(partitions []int32) { m.change(partitions, true) }
func (m *Member) Lose(partitions []int32) { m.change(partitions, false) }

func (m *Member) change(partitions []int32, mine bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, p := range partitions {
		if mine {
			m.owned[p] = true
		} else {
			delete(m.owned, p)
		}
	}
}

// Say tells what is owned, if that has changed.
func (m *Member) Say() {
	m.lock.Lock()
	defer m.lock.Unlock()
	mine := []int{}
	for p := range m.owned {
		mine = append(mine, int(p))
	}
	sort.Ints(mine)
	now := "own"
	for _, p := range mine {
		now += fmt.Sprintf(" %d", p)
	}
	if now != m.said {
		m.said = now
		fmt.Println(now)
	}
}

// Step is one thing that an administrator does.
type Step struct {
	Name string
	Body func() error
}

// Walk prints what became of each step and ends the program: status 1 if one failed.
func Walk(steps ...Step) {
	status := 0
	for _, step := range steps {
		if err := step.Body(); err != nil {
			status = 1
			fmt.Printf("failed %s: %.800q\n", step.Name, err.Error())
		} else {
			fmt.Println("passed", step.Name)
		}
	}
	os.Exit(status)
}

// Soon is a body that is tried until it holds: other brokers hear of a change a moment later.
func Soon(body func() error) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if err := body(); err == nil || time.Now().After(end) {
			return err
		}
	}
}
