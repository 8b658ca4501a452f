//! rust-rdkafka: the verbs of lib/clients.py.
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

type Outcome = Result<(), String>;

fn text<E: Debug>(error: E) -> String {
    format!("{error:?}")
}

fn settings(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

fn number<const N: usize>(input: &mut impl Read) -> [u8; N] {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).expect("a whole record");
    bytes
}

fn field(input: &mut impl Read) -> Option<Vec<u8>> {
    let size = i32::from_be_bytes(number(input));
    let mut data = vec![0; usize::try_from(size).ok()?];
    input.read_exact(&mut data).expect("a whole field");
    Some(data)
}

fn put(out: &mut impl Write, data: Option<&[u8]>) {
    let size = data.map_or(-1, |d| d.len() as i32);
    out.write_all(&size.to_be_bytes()).unwrap();
    out.write_all(data.unwrap_or_default()).unwrap();
}

#[derive(Default)]
struct Refused(Arc<AtomicUsize>);
impl ClientContext for Refused {}
impl ProducerContext for Refused {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(bootstrap: &str, topic: &str, codec: &str, path: &str) -> Outcome {
    let refused = Arc::new(AtomicUsize::new(0));
    let producer: BaseProducer<Refused> = settings(bootstrap)
        .set("compression.type", codec)
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .create_with_context(Refused(refused.clone()))
        .map_err(text)?;
    let mut input = BufReader::new(File::open(path).map_err(text)?);
    while !input.fill_buf().map_err(text)?.is_empty() {
        let timestamp = i64::from_be_bytes(number(&mut input));
        let (key, value) = (field(&mut input), field(&mut input));
        let mut headers = OwnedHeaders::new();
        for _ in 0..i32::from_be_bytes(number(&mut input)) {
            let name = String::from_utf8(field(&mut input).unwrap()).unwrap();
            headers = headers.insert(Header { key: &name, value: field(&mut input).as_deref() });
        }
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).timestamp(timestamp).headers(headers);
        record.key = key.as_deref();
        record.payload = value.as_deref();
        while let Err((error, again)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(text(error));
            }
            record = again;
            producer.poll(Duration::from_millis(100));
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60)).map_err(text)?;
    match refused.load(Ordering::Relaxed) {
        0 => Ok(()),
        n => Err(format!("{n} refused")),
    }
}

fn read(bootstrap: &str, partitions: i32, topics: &[String]) -> Outcome {
    let consumer: BaseConsumer = settings(bootstrap)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .create()
        .map_err(text)?;
    let mut assigned = TopicPartitionList::new();
    for topic in topics {
        for p in 0..partitions {
            assigned.add_partition_offset(topic, p, Offset::Beginning).map_err(text)?;
        }
    }
    let mut left = assigned.count();
    consumer.assign(&assigned).map_err(text)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    while left > 0 {
        match consumer.poll(Duration::from_secs(1)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
            Some(Err(error)) => return Err(text(error)),
            Some(Ok(m)) => {
                let index = topics.iter().position(|t| t == m.topic()).unwrap() as i32;
                out.write_all(&index.to_be_bytes()).unwrap();
                out.write_all(&m.partition().to_be_bytes()).unwrap();
                out.write_all(&m.offset().to_be_bytes()).unwrap();
                out.write_all(&m.timestamp().to_millis().unwrap_or(-1).to_be_bytes()).unwrap();
                put(&mut out, m.key());
                put(&mut out, m.payload());
                let count = m.headers().map_or(0, |h| h.count());
                out.write_all(&(count as i32).to_be_bytes()).unwrap();
                for i in 0..count {
                    let header = m.headers().unwrap().get(i);
                    put(&mut out, Some(header.key.as_bytes()));
                    put(&mut out, header.value);
                }
            }
        }
    }
    out.flush().map_err(text)
}

fn group(bootstrap: &str, name: &str, topic: &str, protocol: &str) -> Outcome {
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        ended.store(true, Ordering::Relaxed);
    });
    let mut config = settings(bootstrap);
    config.set("group.id", name).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    if protocol == "classic" {
        config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "1000");
    } else {
        config.set("group.protocol", protocol);
    }
    let consumer: BaseConsumer = config.create().map_err(text)?;
    consumer.subscribe(&[topic]).map_err(text)?;
    let mut owned = BTreeSet::new();
    while !over.load(Ordering::Relaxed) {
        let mut lines = String::new();
        let until = Instant::now() + Duration::from_millis(200);
        let mut count = 0;
        while count < 200 && Instant::now() < until {
            match consumer.poll(until.saturating_duration_since(Instant::now())) {
                None => break,
                Some(Err(error)) => return Err(text(error)),
                Some(Ok(m)) => {
                    lines += &format!("{} {}\n", m.partition(), m.offset());
                    count += 1;
                }
            }
        }
        if count > 0 {
            consumer.commit_consumer_state(CommitMode::Sync).map_err(text)?;
        }
        let now: BTreeSet<i32> = consumer.assignment().map_err(text)?.elements().iter().map(|e| e.partition()).collect();
        if now != owned {
            lines += "own";
            for p in &now {
                lines += &format!(" {p}");
            }
            lines += "\n";
            owned = now;
        }
        print!("{lines}");
        std::io::stdout().flush().map_err(text)?;
    }
    consumer.unsubscribe();
    Ok(())
}

/// Other brokers hear of a change a moment later.
fn soon(body: impl Fn() -> Outcome) -> Outcome {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let outcome = body();
        if outcome.is_ok() || Instant::now() > end {
            return outcome;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn holds(true_: bool, what: impl Debug) -> Outcome {
    if true_ {
        Ok(())
    } else {
        Err(text(what))
    }
}

fn admin(bootstrap: &str, topic: &str, group: &str) -> Outcome {
    let client: AdminClient<DefaultClientContext> = settings(bootstrap).create().map_err(text)?;
    let wait = Duration::from_secs(20);
    let options = AdminOptions::new();
    let described = |count: usize| {
        soon(|| {
            let found = client.inner().fetch_metadata(None, wait).map_err(text)?;
            let partitions = found.topics().iter().find(|t| t.name() == topic).ok_or("not listed")?.partitions();
            holds(partitions.len() == count && partitions.iter().all(|p| p.isr().len() == 3), partitions.len())
        })
    };
    let retention = |due: &str| {
        soon(|| {
            let found = block_on(client.describe_configs(&[ResourceSpecifier::Topic(topic)], &options)).map_err(text)?;
            let config = found[0].as_ref().map_err(text)?;
            let value = config.entry_map().get("retention.ms").and_then(|e| e.value.clone());
            holds(value.as_deref() == Some(due), value)
        })
    };
    let listed = || -> Result<bool, String> {
        let found = client.inner().fetch_group_list(None, wait).map_err(text)?;
        Ok(found.groups().iter().any(|g| g.name() == group))
    };
    let fresh = NewTopic::new(topic, 2, TopicReplication::Fixed(3)).set("retention.ms", "3600000");
    let steps: Vec<(&str, Box<dyn Fn() -> Outcome + '_>)> = vec![
        ("create topic", Box::new(|| {
            let answers = block_on(client.create_topics([&fresh], &options)).map_err(text)?;
            holds(answers[0].is_ok(), &answers)?;
            let again = block_on(client.create_topics([&fresh], &options)).map_err(text)?;
            holds(matches!(again[0], Err((_, RDKafkaErrorCode::TopicAlreadyExists))), again)
        })),
        ("list and describe topic", Box::new(|| described(2))),
        ("configs", Box::new(|| {
            retention("3600000")?;
            let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("retention.ms", "7200000");
            let answers = block_on(client.alter_configs([&change], &options)).map_err(text)?;
            holds(answers[0].is_ok(), answers)?;
            retention("7200000")
        })),
        ("add partitions", Box::new(|| {
            let answers = block_on(client.create_partitions([&NewPartitions::new(topic, 4)], &options)).map_err(text)?;
            holds(answers[0].is_ok(), answers)?;
            described(4)
        })),
        ("delete records", Box::new(|| {
            let producer: BaseProducer = settings(bootstrap).create().map_err(text)?;
            for _ in 0..10 {
                producer.send(BaseRecord::<[u8], [u8]>::to(topic).partition(0).payload(b"value".as_slice())).map_err(|e| text(e.0))?;
            }
            producer.flush(wait).map_err(text)?;
            let mut before = TopicPartitionList::new();
            before.add_partition_offset(topic, 0, Offset::Offset(7)).map_err(text)?;
            block_on(client.delete_records(&before, &options)).map_err(text)?;
            let marks = client.inner().fetch_watermarks(topic, 0, wait).map_err(text)?;
            holds(marks == (7, 10), marks)
        })),
        ("groups", Box::new(|| {
            holds(listed()?, "not listed")?;
            let answers = block_on(client.delete_groups(&[group], &options)).map_err(text)?;
            holds(answers[0].is_ok(), answers)?;
            holds(!listed()?, "still listed")
        })),
        ("delete topic", Box::new(|| {
            let answers = block_on(client.delete_topics(&[topic], &options)).map_err(text)?;
            holds(answers[0].is_ok(), answers)?;
            soon(|| {
                let found = client.inner().fetch_metadata(None, wait).map_err(text)?;
                holds(found.topics().iter().all(|t| t.name() != topic), "still listed")
            })
        })),
    ];
    let mut failed = 0;
    for (name, body) in steps {
        match body() {
            Ok(()) => println!("passed {name}"),
            Err(why) => {
                failed += 1;
                println!("failed {name}: {}", why.replace('\n', " "));
            }
        }
    }
    holds(failed == 0, format!("{failed} steps failed"))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args[0].as_str() {
        "write" => write(&args[1], &args[2], &args[3], &args[4]),
        "read" => read(&args[1], args[2].parse().unwrap(), &args[3..]),
        "group" => group(&args[1], &args[2], &args[3], args.get(4).map_or("classic", |p| p)),
        "admin" => admin(&args[1], &args[2], &args[3]),
        verb => Err(format!("write, read, group or admin, not {verb}")),
    };
    if let Err(why) = outcome {
        eprintln!("{why}");
        std::process::exit(1);
    }
}
