"""Other services, over HTTP: one careful client, and an adapter for each of them."""

from infrastructure.external_services.api_client import ApiClient
from infrastructure.external_services.auth import ApiKey, Basic, Bearer
from infrastructure.external_services.exchanges import Transport
from infrastructure.external_services.headers import Headers
from infrastructure.external_services.hooks import (
    AttemptEnded,
    BreakerChanged,
    Hooks,
    RetryPlanned,
)
from infrastructure.external_services.policy import BreakerPolicy, RequestPolicy
from infrastructure.external_services.responses import ApiResponse
from infrastructure.external_services.retrying import Pause
from infrastructure.external_services.webhooks import WebhookPublisher

__all__ = [
    "ApiClient",
    "ApiKey",
    "ApiResponse",
    "AttemptEnded",
    "Basic",
    "Bearer",
    "BreakerChanged",
    "BreakerPolicy",
    "Headers",
    "Hooks",
    "Pause",
    "RequestPolicy",
    "RetryPlanned",
    "Transport",
    "WebhookPublisher",
]
