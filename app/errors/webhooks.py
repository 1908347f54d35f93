"""Webhooks, their deliveries and callbacks."""

from __future__ import annotations

from app.errors.base import N_, Conflict, Invalid, NotFound


class WebhookNotFound(NotFound):
    code = "webhook_not_found"
    title = N_("No such webhook")
    detail = N_("There is no such webhook, or it belongs to somebody else.")


class DeliveryNotFound(NotFound):
    code = "delivery_not_found"
    title = N_("No such delivery")
    detail = N_("There is no such delivery, or it was so long ago that it has been deleted.")


class WebhookDisabled(Conflict):
    code = "webhook_disabled"
    detail = N_("The webhook is switched off. Switch it on first.")


class WebhookLimit(Conflict):
    code = "webhook_limit"
    detail = N_("Nobody can have more than {limit} webhooks. Delete one that is not needed any more.")


class EventTypeUnknown(Invalid):
    code = "event_type_unknown"
    title = N_("Nobody is told of these events")
    detail = N_("“{type}” is not an event that webhooks are told of.")


class CallbackNeedsKey(Invalid):
    code = "callback_needs_key"
    title = N_("A callback needs an API key")
    detail = N_(
        "A callback is signed with the webhook secret of an API key: submit the job with a key, or make a webhook."
    )
