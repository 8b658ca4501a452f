// franz-go: the verbs of lib/clients.py.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"conformance/golib"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var must = golib.Must

func write(bootstrap, topic, codec, path string) {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	// Idempotent unless told otherwise.
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerLinger(20*time.Millisecond), kgo.RecordDeliveryTimeout(60*time.Second))
	must(err)
	defer client.Close()
	ctx := context.Background()
	errs := make(chan error, 1)
	golib.Written(path, func(r golib.Record) {
		record := &kgo.Record{Timestamp: r.Time, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
		client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case errs <- err:
				default:
				}
			}
		})
	})
	must(client.Flush(ctx))
	select {
	case err := <-errs:
		golib.Fail("%v", err)
	default:
	}
}

func read(bootstrap string, partitions int, topics []string) {
	from := map[string]map[int32]kgo.Offset{}
	index := map[string]int32{}
	asker, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...))
	must(err)
	ends, err := kadm.NewClient(asker).ListEndOffsets(context.Background(), topics...)
	must(err)
	must(ends.Error())
	asker.Close()
	left := 0
	for i, topic := range topics {
		index[topic] = int32(i)
		from[topic] = map[int32]kgo.Offset{}
		for p := int32(0); p < int32(partitions); p++ {
			if ends[topic][p].Offset > 0 {
				from[topic][p] = kgo.NewOffset().AtStart()
				left++
			}
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.ConsumePartitions(from),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	must(err)
	defer client.Close()
	out := golib.NewSink()
	for left > 0 {
		fetches := client.PollFetches(context.Background())
		for _, e := range fetches.Errors() {
			golib.Fail("%s-%d: %v", e.Topic, e.Partition, e.Err)
		}
		fetches.EachPartition(func(part kgo.FetchTopicPartition) {
			for _, r := range part.Records {
				record := golib.Record{Time: r.Timestamp, Key: r.Key, Value: r.Value}
				for _, h := range r.Headers {
					record.Headers = append(record.Headers, golib.Header{Name: h.Key, Value: h.Value})
				}
				out.Put(index[r.Topic], r.Partition, r.Offset, record)
				if r.Offset+1 == ends[r.Topic][r.Partition].Offset {
					left--
				}
			}
		})
	}
	out.Flush()
}

func group(bootstrap, name, topic string) {
	ctx := golib.UntilInputEnds()
	member := golib.NewMember()
	note := func(change func([]int32)) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { change(partitions[topic]) }
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.ConsumerGroup(name), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(time.Second), kgo.OnPartitionsAssigned(note(member.Gain)), kgo.OnPartitionsRevoked(note(member.Lose)),
		kgo.OnPartitionsLost(note(member.Lose)))
	must(err)
	for ctx.Err() == nil {
		turn, end := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := client.PollFetches(turn)
		end()
		read := false
		fetches.EachRecord(func(r *kgo.Record) {
			member.Read(r.Partition, r.Offset)
			read = true
		})
		if read {
			must(client.CommitUncommittedOffsets(context.Background()))
		}
		member.Say()
	}
	client.Close()
}

func admin(bootstrap, topic, group string) {
	ctx, end := context.WithTimeout(context.Background(), 120*time.Second)
	defer end()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...))
	must(err)
	defer client.Close()
	adm := kadm.NewClient(client)
	described := func(count int) error {
		return golib.Soon(func() error {
			listed, err := adm.ListTopics(ctx, topic)
			if err != nil {
				return err
			}
			partitions := listed[topic].Partitions
			for _, p := range partitions {
				if len(p.ISR) != 3 {
					return fmt.Errorf("%v", p)
				}
			}
			if len(partitions) != count {
				return fmt.Errorf("%v", partitions)
			}
			return nil
		})
	}
	retention := func(due string) error {
		return golib.Soon(func() error {
			found, err := adm.DescribeTopicConfigs(ctx, topic)
			if err != nil {
				return err
			}
			for _, config := range found[0].Configs {
				if config.Key == "retention.ms" && config.MaybeValue() == due {
					return nil
				}
			}
			return fmt.Errorf("%v", found)
		})
	}
	listed := func() (bool, error) {
		groups, err := adm.ListGroups(ctx)
		_, there := groups[group]
		return there, err
	}
	golib.Walk(
		golib.Step{Name: "create topic", Body: func() error {
			hour := "3600000"
			if _, err := adm.CreateTopic(ctx, 2, 3, map[string]*string{"retention.ms": &hour}, topic); err != nil {
				return err
			}
			if _, err := adm.CreateTopic(ctx, 2, 3, nil, topic); err != kerr.TopicAlreadyExists {
				return fmt.Errorf("once more: %v", err)
			}
			return nil
		}},
		golib.Step{Name: "list and describe topic", Body: func() error { return described(2) }},
		golib.Step{Name: "configs", Body: func() error {
			if err := retention("3600000"); err != nil {
				return err
			}
			two := "7200000"
			answers, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &two}}, topic)
			if err != nil || answers[0].Err != nil {
				return fmt.Errorf("%v %v", err, answers)
			}
			return retention("7200000")
		}},
		golib.Step{Name: "add partitions", Body: func() error {
			answers, err := adm.UpdatePartitions(ctx, 4, topic)
			if err != nil || answers[topic].Err != nil {
				return fmt.Errorf("%v %v", err, answers)
			}
			return described(4)
		}},
		golib.Step{Name: "delete records", Body: func() error {
			manual, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				return err
			}
			defer manual.Close()
			for i := 0; i < 10; i++ {
				if err := manual.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("value")}).FirstErr(); err != nil {
					return err
				}
			}
			before := kadm.Offsets{}
			before.AddOffset(topic, 0, 7, -1)
			if _, err := adm.DeleteRecords(ctx, before); err != nil {
				return err
			}
			starts, err := adm.ListStartOffsets(ctx, topic)
			if err != nil || starts[topic][0].Offset != 7 {
				return fmt.Errorf("%v %v", err, starts)
			}
			return nil
		}},
		golib.Step{Name: "groups", Body: func() error {
			if there, err := listed(); err != nil || !there {
				return fmt.Errorf("not listed: %v", err)
			}
			about, err := adm.DescribeGroups(ctx, group)
			if err != nil || about[group].State != "Empty" {
				return fmt.Errorf("%v %v", err, about)
			}
			offsets, err := adm.FetchOffsets(ctx, group)
			if err != nil || len(offsets.Offsets().Sorted()) != 3 {
				return fmt.Errorf("%v %v", err, offsets)
			}
			deleted, err := adm.DeleteGroups(ctx, group)
			if err != nil || deleted[group].Err != nil {
				return fmt.Errorf("%v %v", err, deleted)
			}
			if there, err := listed(); err != nil || there {
				return fmt.Errorf("still listed: %v", err)
			}
			return nil
		}},
		golib.Step{Name: "delete topic", Body: func() error {
			if answers, err := adm.DeleteTopics(ctx, topic); err != nil || answers[topic].Err != nil {
				return fmt.Errorf("%v %v", err, answers)
			}
			return golib.Soon(func() error {
				topics, err := adm.ListTopics(ctx)
				if err == nil && topics.Has(topic) {
					return fmt.Errorf("still listed")
				}
				return err
			})
		}},
	)
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
	case "admin":
		admin(args[1], args[2], args[3])
	default:
		golib.Fail("write, read, group or admin")
	}
}
