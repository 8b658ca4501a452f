// sarama: the verbs of lib/clients.py.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"conformance/golib"

	"github.com/IBM/sarama"
)

var must = golib.Must

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	return config
}

func write(bootstrap, topic, codec, path string) {
	config := settings()
	config.Producer.Compression = map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}[codec]
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	producer, err := sarama.NewAsyncProducer(strings.Split(bootstrap, ","), config)
	must(err)
	failed := make(chan error, 1)
	go func() {
		var first error
		for err := range producer.Errors() {
			if first == nil {
				first = err
			}
		}
		failed <- first
	}()
	golib.Written(path, func(r golib.Record) {
		message := &sarama.ProducerMessage{Topic: topic, Timestamp: r.Time}
		if r.Key != nil {
			message.Key = sarama.ByteEncoder(r.Key)
		}
		if r.Value != nil {
			message.Value = sarama.ByteEncoder(r.Value)
		}
		for _, h := range r.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value})
		}
		producer.Input() <- message
	})
	producer.AsyncClose()
	must(<-failed)
}

func read(bootstrap string, partitions int32, topics []string) {
	client, err := sarama.NewClient(strings.Split(bootstrap, ","), settings())
	must(err)
	consumer, err := sarama.NewConsumerFromClient(client)
	must(err)
	out := golib.NewSink()
	for index, topic := range topics {
		for p := int32(0); p < partitions; p++ {
			end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
			must(err)
			if end == 0 {
				continue
			}
			from, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
			must(err)
			for {
				m := <-from.Messages()
				record := golib.Record{Time: m.Timestamp, Key: m.Key, Value: m.Value}
				for _, h := range m.Headers {
					record.Headers = append(record.Headers, golib.Header{Name: string(h.Key), Value: h.Value})
				}
				out.Put(int32(index), p, m.Offset, record)
				if m.Offset+1 == end {
					break
				}
			}
			from.AsyncClose()
		}
	}
	out.Flush()
}

type handler struct {
	member *golib.Member
	topic  string
}

func (h handler) Setup(session sarama.ConsumerGroupSession) error {
	h.member.Gain(session.Claims()[h.topic])
	h.member.Say()
	return nil
}

func (h handler) Cleanup(session sarama.ConsumerGroupSession) error {
	h.member.Lose(session.Claims()[h.topic])
	return nil
}

func (h handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, more := <-claim.Messages():
			if !more {
				return nil
			}
			h.member.Read(m.Partition, m.Offset)
			session.MarkMessage(m, "")
			if len(claim.Messages()) == 0 || m.Offset%100 == 0 {
				session.Commit()
			}
		case <-session.Context().Done():
			session.Commit()
			return nil
		}
	}
}

func group(bootstrap, name, topic string) {
	ctx := golib.UntilInputEnds()
	config := settings()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = 6 * time.Second
	config.Consumer.Group.Heartbeat.Interval = time.Second
	consumer, err := sarama.NewConsumerGroup(strings.Split(bootstrap, ","), name, config)
	must(err)
	member := golib.NewMember()
	for ctx.Err() == nil {
		must(consumer.Consume(ctx, []string{topic}, handler{member, topic}))
	}
	must(consumer.Close())
}

func admin(bootstrap, topic, group string) {
	brokers := strings.Split(bootstrap, ",")
	adm, err := sarama.NewClusterAdmin(brokers, settings())
	must(err)
	described := func(count int) error {
		return golib.Soon(func() error {
			about, err := adm.DescribeTopics([]string{topic})
			if err != nil || len(about) != 1 || len(about[0].Partitions) != count {
				return fmt.Errorf("%v %v", err, about)
			}
			for _, p := range about[0].Partitions {
				if len(p.Isr) != 3 {
					return fmt.Errorf("%v", p)
				}
			}
			return nil
		})
	}
	retention := func(due string) error {
		return golib.Soon(func() error {
			found, err := adm.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}})
			if err != nil || len(found) != 1 || found[0].Value != due {
				return fmt.Errorf("%v %v", err, found)
			}
			return nil
		})
	}
	golib.Walk(
		golib.Step{Name: "create topic", Body: func() error {
			hour := "3600000"
			detail := sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 3, ConfigEntries: map[string]*string{"retention.ms": &hour}}
			if err := adm.CreateTopic(topic, &detail, false); err != nil {
				return err
			}
			if err := adm.CreateTopic(topic, &detail, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
				return fmt.Errorf("once more: %v", err)
			}
			return nil
		}},
		golib.Step{Name: "list and describe topic", Body: func() error {
			if err := described(2); err != nil {
				return err
			}
			topics, err := adm.ListTopics()
			if _, there := topics[topic]; err != nil || !there {
				return fmt.Errorf("not listed: %v", err)
			}
			return nil
		}},
		golib.Step{Name: "configs", Body: func() error {
			if err := retention("3600000"); err != nil {
				return err
			}
			two := "7200000"
			change := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &two}}
			if err := adm.IncrementalAlterConfig(sarama.TopicResource, topic, change, false); err != nil {
				return err
			}
			return retention(two)
		}},
		golib.Step{Name: "add partitions", Body: func() error {
			if err := adm.CreatePartitions(topic, 4, nil, false); err != nil {
				return err
			}
			return described(4)
		}},
		golib.Step{Name: "delete records", Body: func() error {
			config := settings()
			config.Producer.Return.Successes = true
			config.Producer.Partitioner = sarama.NewManualPartitioner
			client, err := sarama.NewClient(brokers, config)
			if err != nil {
				return err
			}
			defer client.Close()
			producer, err := sarama.NewSyncProducerFromClient(client)
			if err != nil {
				return err
			}
			for i := 0; i < 10; i++ {
				if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("value")}); err != nil {
					return err
				}
			}
			if err := adm.DeleteRecords(topic, map[int32]int64{0: 7}); err != nil {
				return err
			}
			if start, err := client.GetOffset(topic, 0, sarama.OffsetOldest); err != nil || start != 7 {
				return fmt.Errorf("begins at %d: %v", start, err)
			}
			return nil
		}},
		golib.Step{Name: "groups", Body: func() error {
			listed, err := adm.ListConsumerGroups()
			if _, there := listed[group]; err != nil || !there {
				return fmt.Errorf("not listed: %v", err)
			}
			about, err := adm.DescribeConsumerGroups([]string{group})
			if err != nil || about[0].State != "Empty" {
				return fmt.Errorf("%v %v", err, about)
			}
			offsets, err := adm.ListConsumerGroupOffsets(group, nil)
			if err != nil || len(offsets.Blocks) != 1 {
				return fmt.Errorf("%v %v", err, offsets)
			}
			if err := adm.DeleteConsumerGroup(group); err != nil {
				return err
			}
			listed, err = adm.ListConsumerGroups()
			if _, there := listed[group]; err != nil || there {
				return fmt.Errorf("still listed: %v", err)
			}
			return nil
		}},
		golib.Step{Name: "delete topic", Body: func() error {
			if err := adm.DeleteTopic(topic); err != nil {
				return err
			}
			return golib.Soon(func() error {
				topics, err := adm.ListTopics()
				if _, there := topics[topic]; err == nil && there {
					return errors.New("still listed")
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
		read(args[1], int32(partitions), args[3:])
	case "group":
		group(args[1], args[2], args[3])
	case "admin":
		admin(args[1], args[2], args[3])
	default:
		golib.Fail("write, read, group or admin")
	}
}
