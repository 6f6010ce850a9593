"""What every adapter of ``domain.ports.Outbox`` must do."""

from __future__ import annotations

from infrastructure.testing.contracts.outbox_claims import OutboxClaimsContract
from infrastructure.testing.contracts.outbox_leases import OutboxLeasesContract


class OutboxContract(OutboxClaimsContract, OutboxLeasesContract):
    """A class that overrides the fixture ``outbox`` and ``store`` is a suite of tests.

        class TestQueue(OutboxContract):
            @pytest.fixture
            def outbox(self):
                return QueueOutbox(url)

            def store(self, outbox, messages):
                outbox.put_in_one_transaction(messages)

            def advance(self, outbox, seconds):
                clock.move(seconds=seconds)

    The outbox is empty at first. Without ``advance``, what needs time to pass is skipped.
    """
