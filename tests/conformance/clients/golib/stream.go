// Package golib is what the clients in Go share: the streams of lib/records.py, what a member says (lib/groups.py), and how an
// administrator walks (lib/walk.py).
package golib

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"
)

func Fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func Must(err error) {
	if err != nil {
		Fail("%v", err)
	}
}

type Header struct {
	Name  string
	Value []byte
}

type Record struct {
	Time       time.Time
	Key, Value []byte
	Headers    []Header
}

type source struct{ *bufio.Reader }

func (s source) number32() int32 {
	var n int32
	Must(binary.Read(s, binary.BigEndian, &n))
	return n
}

func (s source) field() []byte {
	n := s.number32()
	if n < 0 {
		return nil
	}
	data := make([]byte, n)
	_, err := io.ReadFull(s, data)
	Must(err)
	return data
}

// Written calls each with the records of a file.
func Written(path string, each func(Record)) {
	file, err := os.Open(path)
	Must(err)
	in := source{bufio.NewReaderSize(file, 1<<20)}
	for {
		if _, err := in.Peek(1); err == io.EOF {
			return
		}
		var at int64
		Must(binary.Read(in, binary.BigEndian, &at))
		record := Record{Time: time.UnixMilli(at), Key: in.field(), Value: in.field()}
		for n := in.number32(); n > 0; n-- {
			name := string(in.field())
			record.Headers = append(record.Headers, Header{name, in.field()})
		}
		each(record)
	}
}

// Sink prints what was read.
type Sink struct{ out *bufio.Writer }

func NewSink() Sink { return Sink{bufio.NewWriterSize(os.Stdout, 1<<20)} }

func (s Sink) number(n any) { Must(binary.Write(s.out, binary.BigEndian, n)) }

func (s Sink) field(data []byte) {
	if data == nil {
		s.number(int32(-1))
		return
	}
	s.number(int32(len(data)))
	_, err := s.out.Write(data)
	Must(err)
}

func (s Sink) Put(topic, partition int32, offset int64, r Record) {
	s.number(topic)
	s.number(partition)
	s.number(offset)
	s.number(r.Time.UnixMilli())
	s.field(r.Key)
	s.field(r.Value)
	s.number(int32(len(r.Headers)))
	for _, h := range r.Headers {
		s.field([]byte(h.Name))
		s.field(h.Value)
	}
}

func (s Sink) Flush() { Must(s.out.Flush()) }
