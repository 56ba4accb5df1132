"""Send one KOL event: python producer.py HOST:PORT. Needs nothing but kafka-python."""  # noqa: INP001 - no package

import json
import sys
import uuid
from datetime import UTC, datetime

from kafka import KafkaProducer

profile = {"followers_count": 120_000, "following_count": 310, "post_count": 2_400, "account_age_days": 1_900}
event = {"schema_version": 1, "event_id": str(uuid.uuid4()), "event_time": datetime.now(UTC).isoformat()}
event |= {"kol_id": "twitter:example", **profile, "verified": None}  # null or absent = unknown, never zero
with KafkaProducer(bootstrap_servers=sys.argv[1], acks="all") as producer:
    producer.send("kol.events", key=b"twitter:example", value=json.dumps(event).encode()).get(timeout=30)
