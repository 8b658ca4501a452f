// franz-go: `franz write BOOTSTRAP TOPIC CODEC FILE`, `franz read BOOTSTRAP PARTITIONS TOPIC...`,
// `franz group BOOTSTRAP GROUP TOPIC` (lib/groups.py).
// The streams are those of lib/records.py.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

type source struct{ *bufio.Reader }

func (s source) number32() int32 {
	var n int32
	must(binary.Read(s, binary.BigEndian, &n))
	return n
}

func (s source) field() []byte {
	n := s.number32()
	if n < 0 {
		return nil
	}
	data := make([]byte, n)
	_, err := io.ReadFull(s, data)
	must(err)
	return data
}

type sink struct{ *bufio.Writer }

func (s sink) number(n any) { must(binary.Write(s, binary.BigEndian, n)) }

func (s sink) field(data []byte) {
	if data == nil {
		s.number(int32(-1))
		return
	}
	s.number(int32(len(data)))
	_, err := s.Write(data)
	must(err)
}

func write(bootstrap, topic, codec, path string) {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	// Idempotent unless told otherwise.
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerLinger(20*time.Millisecond), kgo.RecordDeliveryTimeout(60*time.Second))
	must(err)
	defer client.Close()
	file, err := os.Open(path)
	must(err)
	in := source{bufio.NewReaderSize(file, 1<<20)}
	ctx := context.Background()
	errs := make(chan error, 1)
	for {
		if _, err := in.Peek(1); err == io.EOF {
			break
		}
		var at int64
		must(binary.Read(in, binary.BigEndian, &at))
		record := &kgo.Record{Timestamp: time.UnixMilli(at), Key: in.field(), Value: in.field()}
		for n := in.number32(); n > 0; n-- {
			name := string(in.field())
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: in.field()})
		}
		client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case errs <- err:
				default:
				}
			}
		})
	}
	must(client.Flush(ctx))
	select {
	case err := <-errs:
		fail("%v", err)
	default:
	}
}

func read(bootstrap string, partitions int, topics []string) {
	from := map[string]map[int32]kgo.Offset{}
	index := map[string]int32{}
	left := 0
	for i, topic := range topics {
		index[topic] = int32(i)
		from[topic] = map[int32]kgo.Offset{}
		for p := 0; p < partitions; p++ {
			from[topic][int32(p)] = kgo.NewOffset().AtStart()
			left++
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.ConsumePartitions(from),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	must(err)
	defer client.Close()
	out := sink{bufio.NewWriterSize(os.Stdout, 1<<20)}
	for left > 0 {
		fetches := client.PollFetches(context.Background())
		for _, e := range fetches.Errors() {
			fail("%s-%d: %v", e.Topic, e.Partition, e.Err)
		}
		fetches.EachPartition(func(part kgo.FetchTopicPartition) {
			for _, r := range part.Records {
				out.number(index[r.Topic])
				out.number(r.Partition)
				out.number(r.Offset)
				out.number(r.Timestamp.UnixMilli())
				out.field(r.Key)
				out.field(r.Value)
				out.number(int32(len(r.Headers)))
				for _, h := range r.Headers {
					out.field([]byte(h.Key))
					out.field(h.Value)
				}
				// Nobody writes while this reads, so that the high watermark is the end.
				if r.Offset+1 == part.HighWatermark {
					left--
				}
			}
		})
	}
	must(out.Flush())
}

func group(bootstrap, name, topic string) {
	ctx, over := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		over()
	}()
	var lock sync.Mutex
	owned := map[int32]bool{}
	note := func(mine bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			lock.Lock()
			defer lock.Unlock()
			for _, list := range partitions {
				for _, p := range list {
					if mine {
						owned[p] = true
					} else {
						delete(owned, p)
					}
				}
			}
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.ConsumerGroup(name), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(time.Second), kgo.OnPartitionsAssigned(note(true)), kgo.OnPartitionsRevoked(note(false)),
		kgo.OnPartitionsLost(note(false)))
	must(err)
	said := "own"
	for ctx.Err() == nil {
		turn, end := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := client.PollFetches(turn)
		end()
		read := false
		fetches.EachRecord(func(r *kgo.Record) {
			fmt.Println(r.Partition, r.Offset)
			read = true
		})
		if read {
			must(client.CommitUncommittedOffsets(context.Background()))
		}
		lock.Lock()
		now := "own"
		mine := []int{}
		for p := range owned {
			mine = append(mine, int(p))
		}
		sort.Ints(mine)
		for _, p := range mine {
			now += fmt.Sprintf(" %d", p)
		}
		lock.Unlock()
		if now != said {
			said = now
			fmt.Println(now)
		}
	}
	client.Close()
}

func main() {
	switch args := os.Args[1:]; args[0] {
	case "write":
		write(args[1], args[2], args[3], args[4])
	case "read":
		partitions, err := strconv.Atoi(args[2])
		must(err)
		read(args[1], partitions, args[3:])
	case "group":
		group(args[1], args[2], args[3])
	default:
		fail("write, read or group")
	}
}
