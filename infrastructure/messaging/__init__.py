"""Messages on their way from the outbox to those whom they are for."""

from infrastructure.messaging.in_process import InProcessPublisher
from infrastructure.messaging.outbox_relay import OutboxRelay
from infrastructure.messaging.relay_policy import RelayPolicy
from infrastructure.messaging.relay_report import RelayReport

__all__ = ["InProcessPublisher", "OutboxRelay", "RelayPolicy", "RelayReport"]
