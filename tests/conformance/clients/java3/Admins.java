// What the admin client of Kafka 3.x does: a topic's life, and a group's end. `admin BOOTSTRAP TOPIC GROUP`; the other verbs are
// ../java/Client.java's. Prints `passed NAME` or `failed NAME: WHY`, one a line.
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ConsumerGroupState;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.StringSerializer;

final class Admins {
  private interface Body {
    void run() throws Exception;
  }

  private static boolean allPassed = true;

  private static void step(String name, Body body) {
    try {
      body.run();
      System.out.println("passed " + name);
    } catch (Throwable error) {
      allPassed = false;
      System.out.println("failed " + name + ": " + String.valueOf(error).replace('\n', ' '));
    }
  }

  private static void check(boolean holds, Object what) {
    if (!holds) throw new AssertionError(what);
  }

  private static <T> T get(KafkaFuture<T> future) throws Exception {
    return future.get(30, TimeUnit.SECONDS);
  }

  /** Other brokers hear of a change a moment later. */
  private static void soon(Body body) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (true) {
      try {
        body.run();
        return;
      } catch (Exception | AssertionError error) {
        if (System.nanoTime() > end) throw error;
      }
      Thread.sleep(100);
    }
  }

  static void run(String[] args) {
    String bootstrap = args[0];
    String topic = args[1];
    String group = args[2];
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    try (Admin admin = Admin.create(config)) {
      step("create topic", () -> {
        NewTopic fresh = new NewTopic(topic, 2, (short) 3).configs(Map.of("retention.ms", "3600000"));
        get(admin.createTopics(List.of(fresh)).all());
        try {
          get(admin.createTopics(List.of(fresh)).all());
        } catch (ExecutionException refused) {
          check(refused.getCause() instanceof TopicExistsException, refused);
          return;
        }
        throw new AssertionError("was created twice");
      });
      step("list and describe topic", () -> {
        soon(() -> check(get(admin.listTopics().names()).contains(topic), "not listed"));
        described(admin, topic, 2);
      });
      step("configs", () -> {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        soon(() -> check(get(admin.describeConfigs(List.of(resource)).all()).get(resource).get("retention.ms").value().equals("3600000"), "not as created"));
        get(admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET)))).all());
        soon(() -> check(get(admin.describeConfigs(List.of(resource)).all()).get(resource).get("retention.ms").value().equals("7200000"), "not as set"));
      });
      step("add partitions", () -> {
        get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all());
        described(admin, topic, 4);
      });
      step("delete records", () -> {
        var at = new TopicPartition(topic, 0);
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
          for (int i = 0; i < 10; i++) producer.send(new ProducerRecord<>(topic, 0, "k", "v")).get();
        }
        get(admin.deleteRecords(Map.of(at, RecordsToDelete.beforeOffset(7))).all());
        long start = get(admin.listOffsets(Map.of(at, OffsetSpec.earliest())).partitionResult(at)).offset();
        check(start == 7, start);
      });
      step("groups", () -> {
        check(get(admin.listConsumerGroups().all()).stream().anyMatch(g -> g.groupId().equals(group)), "not listed");
        var about = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
        check(about.state() == ConsumerGroupState.EMPTY, about);
        var offsets = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        check(offsets.size() == 3, offsets);
        get(admin.deleteConsumerGroups(List.of(group)).all());
        check(get(admin.listConsumerGroups().all()).stream().noneMatch(g -> g.groupId().equals(group)), "still listed");
      });
      step("delete topic", () -> {
        get(admin.deleteTopics(List.of(topic)).all());
        soon(() -> check(!get(admin.listTopics().names()).contains(topic), "still listed"));
      });
    }
    if (!allPassed) System.exit(1);
  }

  private static void described(Admin admin, String topic, int count) throws Exception {
    soon(() -> {
      var partitions = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions();
      check(partitions.size() == count && partitions.stream().allMatch(p -> p.isr().size() == 3), partitions);
    });
  }

  private Admins() {}
}
