// segmentio's kafka-go: the verbs of lib/clients.py. It writes without idempotence.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"conformance/golib"

	"github.com/segmentio/kafka-go"
)

var must = golib.Must

func client(bootstrap string) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(strings.Split(bootstrap, ",")...), Timeout: 30 * time.Second}
}

func write(bootstrap, topic, codec, path string) {
	codecs := map[string]kafka.Compression{"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}
	writer := &kafka.Writer{Addr: kafka.TCP(strings.Split(bootstrap, ",")...), Topic: topic, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		Compression: codecs[codec], BatchSize: 1000, BatchBytes: 500_000, BatchTimeout: 20 * time.Millisecond}
	var messages []kafka.Message
	golib.Written(path, func(r golib.Record) {
		message := kafka.Message{Time: r.Time, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			message.Headers = append(message.Headers, kafka.Header{Key: h.Name, Value: h.Value})
		}
		messages = append(messages, message)
	})
	must(writer.WriteMessages(context.Background(), messages...))
	must(writer.Close())
}

func reader(bootstrap, topic string, partition int, offset int64) *kafka.Reader {
	from := kafka.NewReader(kafka.ReaderConfig{Brokers: strings.Split(bootstrap, ","), Topic: topic, Partition: partition, MaxBytes: 10_000_000,
		MaxWait: 200 * time.Millisecond, IsolationLevel: kafka.ReadCommitted})
	must(from.SetOffset(offset))
	return from
}

func read(bootstrap string, partitions int, topics []string) {
	ctx := context.Background()
	out := golib.NewSink()
	for index, topic := range topics {
		asked := []kafka.OffsetRequest{}
		for p := 0; p < partitions; p++ {
			asked = append(asked, kafka.LastOffsetOf(p))
		}
		ends, err := client(bootstrap).ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: asked}})
		must(err)
		for _, end := range ends.Topics[topic] {
			must(end.Error)
			if end.LastOffset == 0 {
				continue
			}
			from := reader(bootstrap, topic, end.Partition, 0)
			for {
				m, err := from.ReadMessage(ctx)
				must(err)
				record := golib.Record{Time: m.Time, Key: m.Key, Value: m.Value}
				for _, h := range m.Headers {
					record.Headers = append(record.Headers, golib.Header{Name: h.Key, Value: h.Value})
				}
				out.Put(int32(index), int32(m.Partition), m.Offset, record)
				if m.Offset+1 == end.LastOffset {
					break
				}
			}
			must(from.Close())
		}
	}
	out.Flush()
}

// As one of a generation's functions: the generation ends when all of them have returned.
func follow(ctx context.Context, bootstrap, topic string, partition int, offset int64, commit func(int64) error, member *golib.Member) {
	from := reader(bootstrap, topic, partition, offset)
	defer from.Close()
	next := offset
	say := func() {
		if next == offset {
			return
		}
		must(commit(next))
		for ; offset < next; offset++ {
			member.Read(int32(partition), offset)
		}
	}
	for ctx.Err() == nil {
		turn, end := context.WithTimeout(ctx, 200*time.Millisecond)
		for next-offset < 200 {
			m, err := from.ReadMessage(turn)
			if err != nil {
				break
			}
			// The suite's topics have no gaps.
			next = m.Offset + 1
		}
		end()
		say()
	}
	say()
}

func group(bootstrap, name, topic string) {
	ctx := golib.UntilInputEnds()
	members, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: name, Brokers: strings.Split(bootstrap, ","), Topics: []string{topic},
		StartOffset: kafka.FirstOffset, SessionTimeout: 6 * time.Second, HeartbeatInterval: time.Second})
	must(err)
	member := golib.NewMember()
	for ctx.Err() == nil {
		generation, err := members.Next(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		var mine []int32
		for _, assigned := range generation.Assignments[topic] {
			mine = append(mine, int32(assigned.ID))
			partition, offset := assigned.ID, assigned.Offset
			if offset < 0 {
				offset = 0
			}
			commit := func(next int64) error {
				return generation.CommitOffsets(map[string]map[int]int64{topic: {partition: next}})
			}
			generation.Start(func(turn context.Context) { follow(turn, bootstrap, topic, partition, offset, commit, member) })
		}
		member.Gain(mine)
		member.Say()
		generation.Start(func(turn context.Context) {
			<-turn.Done()
			member.Lose(mine)
		})
	}
	must(members.Close())
}

func admin(bootstrap, topic, group string) {
	ctx, end := context.WithTimeout(context.Background(), 120*time.Second)
	defer end()
	adm := client(bootstrap)
	described := func(count int) error {
		return golib.Soon(func() error {
			about, err := adm.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
			if err != nil || len(about.Topics) != 1 || len(about.Topics[0].Partitions) != count {
				return fmt.Errorf("%v %v", err, about)
			}
			for _, p := range about.Topics[0].Partitions {
				if len(p.Isr) != 3 {
					return fmt.Errorf("%v", p)
				}
			}
			return nil
		})
	}
	retention := func(due string) error {
		return golib.Soon(func() error {
			found, err := adm.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
				{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{"retention.ms"}}}})
			if err != nil || found.Resources[0].Error != nil || found.Resources[0].ConfigEntries[0].ConfigValue != due {
				return fmt.Errorf("%v %v", err, found)
			}
			return nil
		})
	}
	listed := func() (bool, error) {
		groups, err := adm.ListGroups(ctx, &kafka.ListGroupsRequest{})
		if err != nil {
			return false, err
		}
		for _, found := range groups.Groups {
			if found.GroupID == group {
				return true, groups.Error
			}
		}
		return false, groups.Error
	}
	golib.Walk(
		golib.Step{Name: "create topic", Body: func() error {
			request := &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 2, ReplicationFactor: 3,
				ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "3600000"}}}}}
			if answer, err := adm.CreateTopics(ctx, request); err != nil || answer.Errors[topic] != nil {
				return fmt.Errorf("%v %v", err, answer)
			}
			if answer, err := adm.CreateTopics(ctx, request); err != nil || !errors.Is(answer.Errors[topic], kafka.TopicAlreadyExists) {
				return fmt.Errorf("once more: %v %v", err, answer)
			}
			return nil
		}},
		golib.Step{Name: "list and describe topic", Body: func() error { return described(2) }},
		golib.Step{Name: "configs", Body: func() error {
			if err := retention("3600000"); err != nil {
				return err
			}
			answer, err := adm.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{
				{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, Configs: []kafka.IncrementalAlterConfigsRequestConfig{
					{Name: "retention.ms", Value: "7200000", ConfigOperation: kafka.ConfigOperationSet}}}}})
			if err != nil || answer.Resources[0].Error != nil {
				return fmt.Errorf("%v %v", err, answer)
			}
			return retention("7200000")
		}},
		golib.Step{Name: "add partitions", Body: func() error {
			answer, err := adm.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 4}}})
			if err != nil || answer.Errors[topic] != nil {
				return fmt.Errorf("%v %v", err, answer)
			}
			return described(4)
		}},
		golib.Step{Name: "groups", Body: func() error {
			if there, err := listed(); err != nil || !there {
				return fmt.Errorf("not listed: %v", err)
			}
			about, err := adm.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
			if err != nil || about.Groups[0].GroupState != "Empty" {
				return fmt.Errorf("%v %v", err, about)
			}
			offsets, err := adm.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group})
			if err != nil || offsets.Error != nil || len(offsets.Topics) != 1 {
				return fmt.Errorf("%v %v", err, offsets)
			}
			deleted, err := adm.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
			if err != nil || deleted.Errors[group] != nil {
				return fmt.Errorf("%v %v", err, deleted)
			}
			if there, err := listed(); err != nil || there {
				return fmt.Errorf("still listed: %v", err)
			}
			return nil
		}},
		golib.Step{Name: "delete topic", Body: func() error {
			answer, err := adm.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
			if err != nil || answer.Errors[topic] != nil {
				return fmt.Errorf("%v %v", err, answer)
			}
			return golib.Soon(func() error {
				about, err := adm.Metadata(ctx, &kafka.MetadataRequest{})
				if err != nil {
					return err
				}
				for _, found := range about.Topics {
					if found.Name == topic {
						return errors.New("still listed")
					}
				}
				return nil
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
