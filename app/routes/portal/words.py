"""The words people read for the values of the domain. Message ids: the templates translate them."""

from __future__ import annotations

from app.domain.batches import BatchState
from app.domain.failures import WORDS, FailureCode
from app.domain.genres import BY_ID, LEVEL_NAMES, Tier
from app.domain.guide import DESCRIPTIONS, USES, Description, Purpose, Use
from app.domain.jobs import EventType, JobState, ReviewReason
from app.domain.media import Container
from app.domain.permissions import Role
from app.domain.views import FailureOut
from app.domain.webhooks import DeliveryState, DisabledReason
from app.domain.workers import WorkerState
from app.errors import N_
from app.i18n import Reader

STATES: dict[JobState, str] = {
    JobState.QUEUED: N_("Queued"),
    JobState.RUNNING: N_("Analysing"),
    JobState.DONE: N_("Done"),
    JobState.FAILED: N_("Failed"),
    JobState.CANCELLED: N_("Cancelled"),
}

BATCH_STATES: dict[BatchState, str] = {
    BatchState.OPEN: N_("Receiving recordings"),
    BatchState.RUNNING: N_("Analysing"),
    BatchState.DONE: N_("Done"),
}

TIERS: dict[Tier, str] = {Tier.HIGH: N_("High"), Tier.MEDIUM: N_("Medium"), Tier.LOW: N_("Low")}

TIER_SENTENCES: dict[Tier, str] = {
    Tier.HIGH: N_("High confidence"),
    Tier.MEDIUM: N_("Medium confidence"),
    Tier.LOW: N_("Low confidence: please check"),
}

TIER_HINTS: dict[Tier, str] = {
    Tier.LOW: N_("The model is unsure. The audio quality may be poor, or the recording may mix several styles."),
}

REVIEWS: dict[ReviewReason, str] = {
    ReviewReason.LOW_PROBABILITY: N_("A person should check this: the model is not sure enough."),
    ReviewReason.NOT_AUDIBLE: N_(
        "No audible signal: the recording is silent or nearly so, so the genre means nothing."
    ),
    ReviewReason.SPOT_CHECK: N_("A random sample: the model is sure, a person checks whether it is right to be."),
    ReviewReason.REQUESTED: N_("Somebody has asked for a person's decision."),
}

EVENTS: dict[EventType, str] = {
    EventType.JOB_DONE: N_("A recording is done"),
    EventType.JOB_FAILED: N_("A recording has failed"),
    EventType.JOB_CANCELLED: N_("A recording was cancelled"),
    EventType.BATCH_DONE: N_("A batch is done"),
    EventType.REVIEW_DECIDED: N_("A review is decided"),
    EventType.WEBHOOK_TEST: N_("Test"),
}

DELIVERY_STATES: dict[DeliveryState, str] = {
    DeliveryState.PENDING: N_("On its way"),
    DeliveryState.DELIVERED: N_("Arrived"),
    DeliveryState.FAILED: N_("Failed"),
}

DISABLED_REASONS: dict[DisabledReason, str] = {
    DisabledReason.BY_OWNER: N_("Switched off"),
    DisabledReason.GONE: N_("Switched off: gone"),
    DisabledReason.FAILING: N_("Switched off: failing"),
}

ROLES: dict[Role, str] = {
    Role.VIEWER: N_("Viewer"),
    Role.UPLOADER: N_("Uploader"),
    Role.REVIEWER: N_("Reviewer"),
    Role.ADMIN: N_("Administrator"),
}

# What the audit log calls what was done.
ACTIONS: dict[str, str] = {
    "preferences.change": N_("Setting changed"),
    "user.sign_in": N_("Signed in to the portal"),
    "user.role": N_("Role changed"),
    "user.sign_out": N_("Signed out everywhere"),
    "api_key.create": N_("API key made"),
    "api_key.revoke": N_("API key revoked"),
    "model.activate": N_("Model activated"),
    "model.roll_back": N_("Model rolled back"),
    "model.shadow": N_("Comparison of models begun"),
    "model.shadow_off": N_("Comparison of models ended"),
    "audio.access": N_("Recording listened to"),
    "audit.export": N_("Audit log exported"),
    "retention.audio": N_("Audio deleted: its time was over"),
    "retention.results": N_("Recordings deleted: their time was over"),
    "retention.audit": N_("Audit log shortened"),
    "retention.cold": N_("Audio moved to the cold storage"),
    "upload.refuse": N_("Infected file refused"),
    "job.cancel": N_("Analysis cancelled"),
    "job.retry": N_("Analysis tried again"),
    "job.delete": N_("Recording deleted"),
    "job.reanalyse": N_("Recording analysed again"),
    "batch.create": N_("Batch made"),
    "batch.close": N_("Batch closed"),
    "batch.cancel": N_("Batch cancelled"),
    "batch.retry": N_("Failed recordings of a batch tried again"),
    "review.request": N_("Sent to review"),
    "review.decide": N_("Genre decided"),
    "review.change": N_("Decision changed"),
    "review.undo": N_("Decision withdrawn"),
    "genre_example.choose": N_("Example of a genre chosen"),
    "genre_example.reset": N_("Example of a genre removed"),
    "webhook.create": N_("Webhook made"),
    "webhook.change": N_("Webhook changed"),
    "webhook.delete": N_("Webhook deleted"),
    "webhook.disable": N_("Webhook switched off"),
    "webhook.redeliver": N_("Sent to a webhook again"),
    "webhook.rotate_secret": N_("Secret of a webhook changed"),
    "saved_view.save": N_("View saved"),
    "saved_view.delete": N_("View deleted"),
}

# What the audit log calls the particulars of what was done; a name that isn't here is shown as it is.
DETAILS: dict[str, str] = {
    "arbitration": N_("as arbiter"),
    "before": N_("before"),
    "created_at": N_("uploaded"),
    "days": N_("days"),
    "event_types": N_("events"),
    "format": N_("format"),
    "from": N_("from"),
    "genre": N_("genre"),
    "jobs": N_("recordings"),
    "model": N_("model"),
    "name": N_("name"),
    "reason": N_("reason"),
    "role": N_("role"),
    "scopes": N_("scopes"),
    "sessions": N_("browsers"),
    "share": N_("share"),
    "shared": N_("shared"),
    "signature": N_("virus"),
    "to": N_("to"),
    "url": N_("address"),
}

WORKERS: dict[WorkerState, str] = {
    WorkerState.STARTING: N_("Starting"),
    WorkerState.READY: N_("Ready"),
    WorkerState.STOPPING: N_("Stopping"),
    WorkerState.FAILED: N_("Can't work"),
}
# The look of a badge.
WORKER_LOOKS: dict[WorkerState, str] = {
    WorkerState.STARTING: "running",
    WorkerState.READY: "done",
    WorkerState.STOPPING: "medium",
    WorkerState.FAILED: "failed",
}

CONTAINERS: dict[Container, str] = {
    Container.MP3: "MP3",
    Container.WAV: "WAV",
    Container.FLAC: "FLAC",
    Container.OGG: "OGG",
    Container.MP4: "M4A",
    Container.AAC: "AAC",
    Container.WEBM: "WebM",
}

PURPOSES: dict[Purpose, tuple[str, str]] = {
    Purpose.MARKETING: (N_("Marketing"), N_("Find the tone that an advert needs.")),
    Purpose.EDUCATION: (N_("Education"), N_("Label course material, and teach how to listen.")),
    Purpose.ARCHIVE: (N_("Archives"), N_("Bring order into everything that has piled up.")),
}


def uses_of(purpose: Purpose) -> tuple[Use, ...]:
    return USES[purpose]


def description_of(genre_id: str) -> Description:
    return DESCRIPTIONS[genre_id]


def is_genre(class_id: str) -> bool:
    """One of the sixteen, which have an example to listen to; not a coarser class."""
    return class_id in BY_ID


def genre_name(genre_id: str) -> str:
    """Message id of a genre or coarser class; an id of an older model stands for itself."""
    return BY_ID[genre_id].name if genre_id in BY_ID else LEVEL_NAMES.get(genre_id, genre_id)


def failure_title(code: str) -> str:
    """Message id of the name of a kind of failure."""
    return WORDS[FailureCode(code)].title


def failure_words(reader: Reader, failure: FailureOut) -> tuple[str, str]:
    """Title and detail of a job's failure in the reader's language."""
    words = WORDS[FailureCode(failure.code)]
    return reader.gettext(words.title), reader.fill(words.detail, failure.params)
