// kafkajs: the verbs of lib/clients.py.
// It brings gzip itself; the other codecs are handed to it, as its documentation says.
const fs = require('fs')
const { ConfigResourceTypes, Kafka, CompressionTypes, CompressionCodecs, Partitioners, logLevel } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')

// One send becomes one batch per partition, which kafkajs never splits: stay well below the broker's largest batch.
const BYTES_PER_SEND = 500000

CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => lz4.compressFrame(encoder.buffer),
  decompress: async buffer => lz4.decompressFrame(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
})

function* records(path) {
  const data = fs.readFileSync(path)
  let at = 0
  const field = () => {
    const n = data.readInt32BE(at)
    at += 4
    if (n < 0) return null
    at += n
    return data.subarray(at - n, at)
  }
  while (at < data.length) {
    const timestamp = data.readBigInt64BE(at).toString()
    at += 8
    const key = field()
    const value = field()
    const headers = {}
    const count = data.readInt32BE(at)
    at += 4
    for (let i = 0; i < count; i++) {
      const name = field().toString()
      headers[name] = field()
    }
    yield { timestamp, key, value, headers }
  }
}

function client(bootstrap) {
  // What is worth a warning goes to standard error: standard output is for records.
  const logCreator = () => ({ log }) => console.error(log.message, log.error || '')
  return new Kafka({ clientId: 'conformance', brokers: bootstrap.split(','), logLevel: logLevel.ERROR, logCreator })
}

async function write(bootstrap, topic, codec, path) {
  await zstd.init()
  const compression = {
    none: CompressionTypes.None,
    gzip: CompressionTypes.GZIP,
    snappy: CompressionTypes.Snappy,
    lz4: CompressionTypes.LZ4,
    zstd: CompressionTypes.ZSTD,
  }[codec]
  const producer = client(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  let messages = []
  let bytes = 0
  const send = async () => {
    if (messages.length > 0) await producer.send({ topic, compression, acks: -1, messages })
    messages = []
    bytes = 0
  }
  for (const message of records(path)) {
    const size = (message.value === null ? 0 : message.value.length) + 200
    if (bytes + size > BYTES_PER_SEND) await send()
    messages.push(message)
    bytes += size
  }
  await send()
  await producer.disconnect()
}

// A consumer of kafkajs cannot be told its partitions: this one has a group to itself.
async function read(bootstrap, partitions, ...topics) {
  await zstd.init()
  const kafka = client(bootstrap)
  const admin = kafka.admin()
  await admin.connect()
  const ends = new Map()
  for (const topic of topics)
    for (const { partition, high } of await admin.fetchTopicOffsets(topic)) if (BigInt(high) > 0n) ends.set(`${topic} ${partition}`, BigInt(high))
  await admin.disconnect()
  const chunks = []
  const number = (size, write) => {
    const bytes = Buffer.alloc(size)
    write(bytes)
    chunks.push(bytes)
  }
  const int32 = n => number(4, bytes => bytes.writeInt32BE(n))
  const int64 = n => number(8, bytes => bytes.writeBigInt64BE(BigInt(n)))
  const field = data => {
    int32(data === null || data === undefined ? -1 : data.length)
    if (data) chunks.push(Buffer.from(data))
  }
  const consumer = kafka.consumer({ groupId: `kafkajs-reads-${process.pid}`, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  await new Promise((done, refused) => {
    consumer.on(consumer.events.CRASH, event => refused(event.payload.error))
    const eachBatch = async ({ batch }) => {
      for (const message of batch.messages) {
        int32(topics.indexOf(batch.topic))
        int32(batch.partition)
        int64(message.offset)
        int64(message.timestamp)
        field(message.key)
        field(message.value)
        const headers = Object.entries(message.headers).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map(each => [name, each]))
        int32(headers.length)
        for (const [name, value] of headers) {
          field(Buffer.from(name))
          field(value)
        }
      }
      const place = `${batch.topic} ${batch.partition}`
      if (BigInt(batch.lastOffset()) + 1n >= ends.get(place)) ends.delete(place)
      if (ends.size === 0) done()
    }
    consumer.run({ autoCommit: false, eachBatch }).catch(refused)
  })
  await consumer.disconnect()
  const all = Buffer.concat(chunks)
  for (let at = 0; at < all.length; ) at += fs.writeSync(1, all, at)
}

async function group(bootstrap, groupId, topic) {
  await zstd.init()
  const consumer = client(bootstrap).consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 1000, maxWaitTimeInMs: 200 })
  const over = new Promise(done => process.stdin.resume().on('end', done))
  consumer.on(consumer.events.GROUP_JOIN, event => console.log(['own', ...(event.payload.memberAssignment[topic] || [])].join(' ')))
  consumer.on(consumer.events.REBALANCING, () => console.log('own'))
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, uncommittedOffsets, commitOffsetsIfNecessary, isStale }) => {
      if (isStale() || batch.messages.length === 0) return
      resolveOffset(batch.lastOffset())
      await commitOffsetsIfNecessary(uncommittedOffsets())
      console.log(batch.messages.map(message => `${batch.partition} ${message.offset}`).join('\n'))
    },
  })
  await over
  await consumer.disconnect()
}

async function soon(body) {
  for (let left = 200; ; left--) {
    try {
      return await body()
    } catch (error) {
      if (left === 0) throw error
    }
    await new Promise(next => setTimeout(next, 100))
  }
}

function check(holds, what) {
  if (!holds) throw new Error(JSON.stringify(what))
}

async function administer(bootstrap, topic, group) {
  const kafka = client(bootstrap)
  const admin = kafka.admin()
  await admin.connect()
  const described = count =>
    soon(async () => {
      check((await admin.listTopics()).includes(topic), 'not listed')
      const { partitions } = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]
      check(partitions.length === count && partitions.every(p => p.isr.length === 3), partitions)
    })
  const retention = due =>
    soon(async () => {
      const { resources } = await admin.describeConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }] })
      check(resources[0].configEntries[0].configValue === due, resources)
    })
  const listed = async () => (await admin.listGroups()).groups.some(found => found.groupId === group)
  const fresh = { topic, numPartitions: 2, replicationFactor: 3, configEntries: [{ name: 'retention.ms', value: '3600000' }] }
  const steps = {
    'create topic': async () => {
      check(await admin.createTopics({ topics: [fresh] }), 'not created')
      check(!(await admin.createTopics({ topics: [fresh] })), 'created twice')
    },
    'list and describe topic': () => described(2),
    configs: async () => {
      await retention('3600000')
      await admin.alterConfigs({
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: 'retention.ms', value: '7200000' }] }],
        validateOnly: false,
      })
      await retention('7200000')
    },
    'add partitions': async () => {
      await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
      await described(4)
    },
    'delete records': async () => {
      const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
      await producer.connect()
      for (let i = 0; i < 10; i++) await producer.send({ topic, messages: [{ partition: 0, value: 'value' }] })
      await producer.disconnect()
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '7' }] })
      const found = (await admin.fetchTopicOffsets(topic)).find(p => p.partition === 0)
      check(found.low === '7', found)
    },
    groups: async () => {
      check(await listed(), 'not listed')
      const about = (await admin.describeGroups([group])).groups[0]
      check(about.state === 'Empty', about)
      const offsets = await admin.fetchOffsets({ groupId: group })
      check(offsets.length === 1 && offsets[0].partitions.length === 3, offsets)
      await admin.deleteGroups([group])
      check(!(await listed()), 'still listed')
    },
    'delete topic': async () => {
      await admin.deleteTopics({ topics: [topic] })
      await soon(async () => check(!(await admin.listTopics()).includes(topic), 'still listed'))
    },
  }
  let failed = 0
  for (const [name, body] of Object.entries(steps)) {
    try {
      await body()
      console.log(`passed ${name}`)
    } catch (error) {
      failed++
      console.log(`failed ${name}: ${String(error.message).replaceAll('\n', ' ')}`)
    }
  }
  await admin.disconnect()
  if (failed) throw new Error(`${failed} steps failed`)
}

const [verb, ...rest] = process.argv.slice(2)
;({ write, read, group, admin: administer })[verb](...rest).then(
  () => process.exit(0),
  error => {
    console.error(error)
    process.exit(1)
  },
)
