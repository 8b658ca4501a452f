// kafkajs: `node write.js write BOOTSTRAP TOPIC CODEC FILE`. The stream is that of lib/records.py.
// It brings gzip itself; the other codecs are handed to it, as its documentation says.
const fs = require('fs')
const { Kafka, CompressionTypes, CompressionCodecs, Partitioners, logLevel } = require('kafkajs')
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

async function write(bootstrap, topic, codec, path) {
  await zstd.init()
  const compression = {
    none: CompressionTypes.None,
    gzip: CompressionTypes.GZIP,
    snappy: CompressionTypes.Snappy,
    lz4: CompressionTypes.LZ4,
    zstd: CompressionTypes.ZSTD,
  }[codec]
  const kafka = new Kafka({ clientId: 'conformance', brokers: bootstrap.split(','), logLevel: logLevel.WARN })
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner: Partitioners.DefaultPartitioner })
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

const [verb, ...rest] = process.argv.slice(2)
if (verb !== 'write') throw new Error('only write')
write(...rest).catch(error => {
  console.error(error)
  process.exit(1)
})
