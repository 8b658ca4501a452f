// What the admin client does against a cluster: a topic's life, configs, the cluster, offsets by time, groups.
// Prints `passed NAME` or `failed NAME: WHY`, one a line.
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownMemberIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

final class Admins {
  private static final String TOPIC = "java-admin";
  private static final String GROUP = "java-admin-group";
  private static final ConfigResource RESOURCE = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
  private static boolean allPassed = true;

  private interface Body {
    void run() throws Exception;
  }

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

  private static void refused(Class<? extends Exception> kind, KafkaFuture<?> future) throws Exception {
    try {
      get(future);
    } catch (ExecutionException e) {
      check(kind.isInstance(e.getCause()), e.getCause());
      return;
    }
    throw new AssertionError("was not refused");
  }

  /** Other brokers hear of a change a moment later, as in any Kafka. */
  private static void soon(Callable<Boolean> holds, String what) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!holds.call()) {
      check(System.nanoTime() < end, what);
      Thread.sleep(50);
    }
  }

  private static Optional<TopicDescription> describe(Admin admin) throws Exception {
    try {
      return Optional.of(get(admin.describeTopics(List.of(TOPIC)).allTopicNames()).get(TOPIC));
    } catch (ExecutionException e) {
      if (e.getCause() instanceof UnknownTopicOrPartitionException) return Optional.empty();
      throw e;
    }
  }

  private static Config config(Admin admin) throws Exception {
    return get(admin.describeConfigs(List.of(RESOURCE)).all()).get(RESOURCE);
  }

  private static AlterConfigOp op(String key, String value, AlterConfigOp.OpType type) {
    return new AlterConfigOp(new ConfigEntry(key, value), type);
  }

  private static KafkaFuture<Void> alter(Admin admin, AlterConfigOp... ops) {
    return admin.incrementalAlterConfigs(Map.of(RESOURCE, (Collection<AlterConfigOp>) List.of(ops))).all();
  }

  /** Its topic and its group are its own; of the arguments only the first counts. */
  static void run(String[] args) {
    String bootstrap = args[0];
    Properties properties = new Properties();
    properties.put("bootstrap.servers", bootstrap);
    try (Admin admin = Admin.create(properties)) {
      step("describe cluster", () -> cluster(admin));
      step("create topic", () -> create(admin));
      step("refuse a bad topic", () -> refuse(admin));
      step("list and describe topic", () -> list(admin));
      step("describe configs", () -> configs(admin));
      step("describe broker configs", () -> brokerConfigs(admin));
      step("alter configs", () -> alterConfigs(admin));
      step("add partitions", () -> grow(admin));
      step("list offsets by time", () -> offsets(admin, bootstrap));
      step("offsets of a group", () -> groupOffsets(admin));
      step("members of a group", () -> groupMembers(admin, bootstrap));
      step("delete a group", () -> deleteGroup(admin));
      step("delete topic", () -> delete(admin));
    }
    System.exit(allPassed ? 0 : 1);
  }

  private static void cluster(Admin admin) throws Exception {
    var cluster = admin.describeCluster();
    check(!get(cluster.clusterId()).isEmpty(), "no cluster id");
    Set<Integer> ids = get(cluster.nodes()).stream().map(Node::id).collect(Collectors.toSet());
    check(ids.size() == 3, "nodes " + ids);
    check(ids.contains(get(cluster.controller()).id()), "the controller is none of the nodes");
  }

  private static void create(Admin admin) throws Exception {
    var topic = new NewTopic(TOPIC, 2, (short) 3).configs(Map.of("retention.ms", "86400000", "segment.bytes", "1048576"));
    get(admin.createTopics(List.of(topic), new CreateTopicsOptions().validateOnly(true)).all());
    check(!get(admin.listTopics().names()).contains(TOPIC), "a topic that was only validated exists");
    var created = admin.createTopics(List.of(topic));
    get(created.all());
    check(get(created.numPartitions(TOPIC)) == 2 && get(created.replicationFactor(TOPIC)) == 3, "other counts than asked");
    check("86400000".equals(get(created.config(TOPIC)).get("retention.ms").value()), "retention.ms in the answer");
  }

  private static void refuse(Admin admin) throws Exception {
    refused(TopicExistsException.class, admin.createTopics(List.of(new NewTopic(TOPIC, 1, (short) 3))).all());
    refused(InvalidTopicException.class, admin.createTopics(List.of(new NewTopic("a topic", 1, (short) 3))).all());
    refused(InvalidPartitionsException.class, admin.createTopics(List.of(new NewTopic("none-" + TOPIC, 0, (short) 3))).all());
    refused(InvalidConfigurationException.class,
        admin.createTopics(List.of(new NewTopic("none-" + TOPIC, 1, (short) 3).configs(Map.of("no.such", "1")))).all());
    check(!get(admin.listTopics().names()).contains("none-" + TOPIC), "a refused topic exists");
  }

  private static void list(Admin admin) throws Exception {
    soon(() -> get(admin.listTopics().names()).contains(TOPIC), "not listed");
    soon(() -> describe(admin).filter(d -> d.partitions().stream().allMatch(p -> p.leader() != null && p.isr().size() == 3)).isPresent(),
        "partitions without a leader or not in sync");
    var topic = describe(admin).get();
    check(topic.partitions().size() == 2 && topic.partitions().stream().allMatch(p -> p.replicas().size() == 3), topic);
    var byId = get(admin.describeTopics(org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(topic.topicId()))).allTopicIds());
    check(TOPIC.equals(byId.get(topic.topicId()).name()), byId);
  }

  private static void configs(Admin admin) throws Exception {
    soon(() -> "86400000".equals(config(admin).get("retention.ms").value()), "retention.ms is not as created");
    var config = config(admin);
    check(config.get("retention.ms").source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, config.get("retention.ms"));
    check("delete".equals(config.get("cleanup.policy").value()) && config.get("cleanup.policy").isDefault(), config.get("cleanup.policy"));
  }

  private static void brokerConfigs(Admin admin) throws Exception {
    int node = get(admin.describeCluster().nodes()).iterator().next().id();
    var resource = new ConfigResource(ConfigResource.Type.BROKER, String.valueOf(node));
    check(!get(admin.describeConfigs(List.of(resource)).all()).get(resource).entries().isEmpty(), "no broker configs");
  }

  private static void alterConfigs(Admin admin) throws Exception {
    get(alter(admin, op("retention.ms", "3600000", AlterConfigOp.OpType.SET), op("cleanup.policy", "compact", AlterConfigOp.OpType.APPEND)));
    soon(() -> "3600000".equals(config(admin).get("retention.ms").value()), "retention.ms was not set");
    soon(() -> Set.of(config(admin).get("cleanup.policy").value().split(",")).equals(Set.of("delete", "compact")), "nothing was appended");
    get(alter(admin, op("retention.ms", "", AlterConfigOp.OpType.DELETE), op("cleanup.policy", "compact", AlterConfigOp.OpType.SUBTRACT)));
    soon(() -> "604800000".equals(config(admin).get("retention.ms").value()), "retention.ms did not go back to its default");
    soon(() -> "delete".equals(config(admin).get("cleanup.policy").value()), "nothing was subtracted");
    refused(InvalidConfigurationException.class, alter(admin, op("retention.ms", "soon", AlterConfigOp.OpType.SET)));
  }

  private static void grow(Admin admin) throws Exception {
    refused(InvalidPartitionsException.class, admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(1))).all());
    get(admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(4))).all());
    soon(() -> describe(admin).filter(d -> d.partitions().size() == 4 && d.partitions().stream().allMatch(p -> p.leader() != null)).isPresent(),
        "no four partitions with leaders");
  }

  private static Map<TopicPartition, OffsetAndMetadata> committed(Admin admin) throws Exception {
    return get(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata());
  }

  private static void groupOffsets(Admin admin) throws Exception {
    var place = new TopicPartition(TOPIC, 3);
    get(admin.alterConsumerGroupOffsets(GROUP, Map.of(place, new OffsetAndMetadata(7, "here"))).all());
    check(committed(admin).get(place).offset() == 7 && "here".equals(committed(admin).get(place).metadata()), committed(admin));
    check(get(admin.listGroups().all()).stream().anyMatch(g -> g.groupId().equals(GROUP)), "not listed");
    refused(UnknownTopicOrPartitionException.class,
        admin.alterConsumerGroupOffsets(GROUP, Map.of(new TopicPartition("none-" + TOPIC, 0), new OffsetAndMetadata(1))).all());
  }

  private static void groupMembers(Admin admin, String bootstrap) throws Exception {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("group.id", GROUP);
    config.put("group.protocol", "classic");
    config.put("enable.auto.commit", "false");
    config.put("group.instance.id", "static");
    try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of(TOPIC));
      soon(() -> {
        consumer.poll(java.time.Duration.ofMillis(100));
        return consumer.assignment().size() == 4;
      }, "the member is given nothing");
      check(consumer.position(new TopicPartition(TOPIC, 3)) >= 7, "it does not begin where the group has committed");
      var group = get(admin.describeConsumerGroups(List.of(GROUP)).all()).get(GROUP);
      check(group.groupState() == GroupState.STABLE && group.members().size() == 1, group);
      var member = group.members().iterator().next();
      check(member.assignment().topicPartitions().size() == 4 && member.groupInstanceId().equals(Optional.of("static")), member);
      refused(UnknownMemberIdException.class,
          admin.alterConsumerGroupOffsets(GROUP, Map.of(new TopicPartition(TOPIC, 3), new OffsetAndMetadata(1))).all());
      refused(GroupNotEmptyException.class, admin.deleteConsumerGroups(List.of(GROUP)).all());
      refused(GroupSubscribedToTopicException.class,
          admin.deleteConsumerGroupOffsets(GROUP, Set.of(new TopicPartition(TOPIC, 3))).partitionResult(new TopicPartition(TOPIC, 3)));
    }
    // A static member leaves no word behind.
    get(admin.removeMembersFromConsumerGroup(GROUP, new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("static")))).all());
    soon(() -> get(admin.describeConsumerGroups(List.of(GROUP)).all()).get(GROUP).groupState() == GroupState.EMPTY, "not empty");
  }

  private static void deleteGroup(Admin admin) throws Exception {
    get(admin.deleteConsumerGroupOffsets(GROUP, Set.of(new TopicPartition(TOPIC, 3))).all());
    check(!committed(admin).containsKey(new TopicPartition(TOPIC, 3)), committed(admin));
    get(admin.deleteConsumerGroups(List.of(GROUP)).all());
    refused(GroupIdNotFoundException.class, admin.deleteConsumerGroups(List.of(GROUP)).all());
    check(get(admin.listGroups().all()).stream().noneMatch(g -> g.groupId().equals(GROUP)), "still listed");
  }

  private static void offsets(Admin admin, String bootstrap) throws Exception {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    long start = System.currentTimeMillis() - 100_000;
    try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
      // Apart by more than a batch, so that the answers lie in different ones, and again inside of one.
      for (int i = 0; i < 100; i++) {
        producer.send(new ProducerRecord<>(TOPIC, 3, start + i * 1000L, "k", "v" + i));
        if (i % 10 == 9) producer.flush();
      }
    }
    var partition = new TopicPartition(TOPIC, 3);
    expect(admin, partition, OffsetSpec.earliest(), 0, -1);
    expect(admin, partition, OffsetSpec.latest(), 100, -1);
    expect(admin, partition, OffsetSpec.forTimestamp(start), 0, start);
    expect(admin, partition, OffsetSpec.forTimestamp(start + 41_500), 42, start + 42_000);
    expect(admin, partition, OffsetSpec.forTimestamp(start + 50_000), 50, start + 50_000);
    expect(admin, partition, OffsetSpec.forTimestamp(start + 99_001), -1, -1);
    expect(admin, partition, OffsetSpec.maxTimestamp(), 99, start + 99_000);
  }

  private static void expect(Admin admin, TopicPartition partition, OffsetSpec spec, long offset, long timestamp) throws Exception {
    ListOffsetsResultInfo found = get(admin.listOffsets(Map.of(partition, spec)).partitionResult(partition));
    check(found.offset() == offset && found.timestamp() == timestamp, spec + " gave " + found + ", due were " + offset + " and " + timestamp);
  }

  private static void delete(Admin admin) throws Exception {
    get(admin.deleteTopics(List.of(TOPIC)).all());
    soon(() -> !get(admin.listTopics().names()).contains(TOPIC), "still listed");
    soon(() -> describe(admin).isEmpty(), "still described");
    refused(UnknownTopicOrPartitionException.class, admin.deleteTopics(List.of(TOPIC)).all());
  }

  private Admins() {}
}
