// A word count of Kafka Streams, at least once: `BOOTSTRAP LINES COUNTS NUMBER DIRECTORY`. Counts the words of the topic LINES until COUNTS has told, for
// every word, the number that `NUMBER` lines give, each "common word-<number of the line modulo 10>", and ends; started again with
// more lines it goes on from what its changelog has kept. Writes the lines itself: those that are not there yet.
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

public final class WordCount {
  public static void main(String[] args) throws Exception {
    String bootstrap = args[0];
    String lines = args[1];
    String counts = args[2];
    int number = Integer.parseInt(args[3]);
    write(bootstrap, lines, number);
    var builder = new StreamsBuilder();
    builder.stream(lines, Consumed.with(Serdes.String(), Serdes.String()))
        .flatMapValues(line -> List.of(line.split(" ")))
        .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
        .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
        .toStream()
        .to(counts, Produced.with(Serdes.String(), Serdes.Long()));
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("application.id", "word-count");
    config.put("processing.guarantee", "at_least_once");
    config.put("replication.factor", "3");
    config.put("num.stream.threads", "2");
    config.put("commit.interval.ms", "500");
    config.put("state.dir", args[4]);
    config.put("consumer.auto.offset.reset", "earliest");
    config.put("consumer.session.timeout.ms", "10000");
    try (var streams = new KafkaStreams(builder.build(), config)) {
      streams.start();
      await(bootstrap, counts, number);
    }
  }

  private static void write(String bootstrap, String topic, int number) throws Exception {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    int from = 0;
    try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
      var partitions = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
      for (long end : consumer.endOffsets(partitions).values()) from += (int) end;
    }
    try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
      for (int i = from; i < number; i++) producer.send(new ProducerRecord<>(topic, "line " + i, "common word-" + i % 10));
    }
  }

  private static void await(String bootstrap, String topic, int number) throws Exception {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    Map<String, Long> due = new HashMap<>();
    for (int i = 0; i < number; i++) {
      due.merge("common", 1L, Long::sum);
      due.merge("word-" + i % 10, 1L, Long::sum);
    }
    Map<String, Long> told = new HashMap<>();
    try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new LongDeserializer())) {
      var partitions = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      long end = System.nanoTime() + 120_000_000_000L;
      while (!told.equals(due)) {
        for (var record : consumer.poll(Duration.ofMillis(200))) told.put(record.key(), record.value());
        if (System.nanoTime() > end) throw new IllegalStateException("told " + told + ", due " + due);
      }
    }
  }
}
