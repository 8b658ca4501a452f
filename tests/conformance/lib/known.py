"""Cells that fail whoever the broker is. To see one fail against Apache Kafka: `tests/conformance/run --against BOOTSTRAP --clients ...`."""

from typing import NamedTuple

LIMIT = 20  # Seconds for what will not come.


class Known(NamedTuple):
    against_kafka: str  # What the client said of Apache Kafka, at lib/tools.py's version.
    why: str


LZ4 = ("aiokafka's LZ4 frames carry checksums of their compressed blocks, as the format has it; github.com/pierrec/lz4, which all three Go clients "
       "read with, compares them with the blocks' uncompressed bytes")
CELLS = {("aiokafka lz4", f"{reader} reads"): Known(f"no end within {LIMIT} s: nothing said", LZ4) for reader in ("franz", "sarama", "segmentio")}
