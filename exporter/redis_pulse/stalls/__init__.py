"""Finds stalls of targets, collects their evidence and names their causes."""

from redis_pulse.stalls.causes import Verdict
from redis_pulse.stalls.detector import PingOutcome
from redis_pulse.stalls.enquiry import EnquirySlots
from redis_pulse.stalls.flood import TokenBucket
from redis_pulse.stalls.fresh_connection import FreshTls
from redis_pulse.stalls.monitor import StallMonitor
from redis_pulse.stalls.record_file import read_records, to_line
from redis_pulse.stalls.records import StallRecord, StallRegistry

__all__ = [
    "EnquirySlots",
    "FreshTls",
    "PingOutcome",
    "StallMonitor",
    "StallRecord",
    "StallRegistry",
    "TokenBucket",
    "Verdict",
    "read_records",
    "to_line",
]
