"""Finds stalls of targets, collects their evidence and names their causes."""

from redis_pulse.stalls.causes import Verdict
from redis_pulse.stalls.detector import PingOutcome
from redis_pulse.stalls.enquiry import EnquirySlots
from redis_pulse.stalls.monitor import StallMonitor
from redis_pulse.stalls.records import StallRecord, StallRegistry

__all__ = ["EnquirySlots", "PingOutcome", "StallMonitor", "StallRecord", "StallRegistry", "Verdict"]
