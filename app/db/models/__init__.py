"""The tables. Every change here needs a migration in ``alembic/versions`` (a test compares the two)."""

from app.db.models.accounts import ApiKey, Session, SignInAttempt, SignInLink, User
from app.db.models.administration import AuditEntry, AuditHorizon, Preference, SavedView
from app.db.models.base import Base, UtcDateTime
from app.db.models.batches import Batch
from app.db.models.events import Event, EventCounter
from app.db.models.guide import GenreExample
from app.db.models.jobs import Asset, Job
from app.db.models.programs import DirectUpload, IdempotentAnswer, Source
from app.db.models.reviews import Review, ReviewDecision, ReviewSkip
from app.db.models.search import SearchTerm
from app.db.models.webhooks import JobCallback, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from app.db.models.workers import Model, ModelActivation, ShadowScore, Worker

__all__ = [
    "ApiKey",
    "Asset",
    "AuditEntry",
    "AuditHorizon",
    "Base",
    "Batch",
    "DirectUpload",
    "Event",
    "EventCounter",
    "GenreExample",
    "IdempotentAnswer",
    "Job",
    "JobCallback",
    "Model",
    "ModelActivation",
    "Preference",
    "Review",
    "ReviewDecision",
    "ReviewSkip",
    "SavedView",
    "SearchTerm",
    "Session",
    "ShadowScore",
    "SignInAttempt",
    "SignInLink",
    "Source",
    "User",
    "UtcDateTime",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "Worker",
]
