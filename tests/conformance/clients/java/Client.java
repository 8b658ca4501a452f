// The Java client, of Kafka 4.x, or of 3.x beside ../java3/Admins.java: the verbs of lib/clients.py.
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Client {
  public static void main(String[] args) throws Exception {
    String[] rest = Arrays.copyOfRange(args, 1, args.length);
    switch (args[0]) {
      case "write" -> write(rest[0], rest[1], rest[2], rest[3]);
      case "read" -> read(rest[0], Integer.parseInt(rest[1]), Arrays.asList(rest).subList(2, rest.length));
      case "admin" -> Admins.run(rest);
      case "group" -> group(rest[0], rest[1], rest[2], rest.length > 3 ? rest[3] : "classic");
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  private static byte[] field(DataInputStream in) throws IOException {
    int n = in.readInt();
    if (n < 0) return null;
    byte[] data = new byte[n];
    in.readFully(data);
    return data;
  }

  private static void field(DataOutputStream out, byte[] data) throws IOException {
    out.writeInt(data == null ? -1 : data.length);
    if (data != null) out.write(data);
  }

  private static void write(String bootstrap, String topic, String codec, String path) throws Exception {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("compression.type", codec);
    config.put("linger.ms", "20");
    config.put("delivery.timeout.ms", "60000");
    AtomicReference<Exception> failed = new AtomicReference<>();
    // Idempotent, with acks=all, unless told otherwise.
    try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        var in = new DataInputStream(new BufferedInputStream(new FileInputStream(path), 1 << 20))) {
      while (true) {
        long timestamp;
        try {
          timestamp = in.readLong();
        } catch (EOFException end) {
          break;
        }
        byte[] key = field(in);
        byte[] value = field(in);
        List<Header> headers = new ArrayList<>();
        for (int n = in.readInt(); n > 0; n--) {
          String name = new String(field(in), StandardCharsets.UTF_8);
          headers.add(new RecordHeader(name, field(in)));
        }
        producer.send(new ProducerRecord<>(topic, null, timestamp, key, value, headers), (sent, error) -> {
          if (error != null) failed.compareAndSet(null, error);
        });
      }
      producer.flush();
    }
    if (failed.get() != null) throw failed.get();
  }

  private static void read(String bootstrap, int partitions, List<String> topics) throws Exception {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("isolation.level", "read_committed");
    config.put("auto.offset.reset", "none");
    Map<String, Integer> index = new HashMap<>();
    List<TopicPartition> assigned = new ArrayList<>();
    for (String topic : topics) {
      index.put(topic, index.size());
      for (int p = 0; p < partitions; p++) assigned.add(new TopicPartition(topic, p));
    }
    try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        var out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 20))) {
      consumer.assign(assigned);
      consumer.seekToBeginning(assigned);
      Map<TopicPartition, Long> ends = consumer.endOffsets(assigned);
      while (ends.entrySet().stream().anyMatch(e -> consumer.position(e.getKey()) < e.getValue())) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          out.writeInt(index.get(record.topic()));
          out.writeInt(record.partition());
          out.writeLong(record.offset());
          out.writeLong(record.timestamp());
          field(out, record.key());
          field(out, record.value());
          Header[] headers = record.headers().toArray();
          out.writeInt(headers.length);
          for (Header header : headers) {
            field(out, header.key().getBytes(StandardCharsets.UTF_8));
            field(out, header.value());
          }
        }
      }
    }
  }

  // With the assignors that it has by default: range, and cooperative-sticky to come.
  private static void group(String bootstrap, String name, String topic, String protocol) throws Exception {
    AtomicReference<Boolean> over = new AtomicReference<>(false);
    Thread input = new Thread(() -> {
      try {
        while (System.in.read() >= 0) {}
      } catch (IOException ended) {
        // The end of the input, too.
      }
      over.set(true);
    });
    input.setDaemon(true);
    input.start();
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("group.id", name);
    // A client of Kafka 3.x knows it in previews only.
    if (!protocol.equals("classic")) config.put("group.protocol", protocol);
    config.put("auto.offset.reset", "earliest");
    config.put("enable.auto.commit", "false");
    if (protocol.equals("classic")) {
      config.put("session.timeout.ms", "6000");
      config.put("heartbeat.interval.ms", "1000");
    }
    try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.subscribe(List.of(topic));
      Set<Integer> owned = new TreeSet<>();
      while (!over.get()) {
        var records = consumer.poll(Duration.ofMillis(200));
        StringBuilder lines = new StringBuilder();
        for (var record : records) lines.append(record.partition()).append(' ').append(record.offset()).append('\n');
        if (!records.isEmpty()) consumer.commitSync();
        Set<Integer> now = new TreeSet<>();
        for (TopicPartition at : consumer.assignment()) now.add(at.partition());
        if (!now.equals(owned)) {
          owned = now;
          lines.append("own");
          for (int partition : owned) lines.append(' ').append(partition);
          lines.append('\n');
        }
        System.out.print(lines);
        System.out.flush();
      }
    }
  }
}
