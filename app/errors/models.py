"""Models, and what they are made from."""

from __future__ import annotations

from app.errors.base import N_, Conflict, EarmarkError, Invalid, NotFound


class ModelNotFound(NotFound):
    code = "model_not_found"
    title = N_("No such model")
    detail = N_("There is no model called “{name}”.")


class NothingToRollBack(Conflict):
    code = "nothing_to_roll_back"
    title = N_("Nothing to roll back")
    detail = N_("No other model was active before this one.")


class NoShadow(NotFound):
    code = "no_shadow"
    title = N_("No model is in the shadow")
    detail = N_("There is nothing to compare the active model with.")


class ShadowIsActive(Conflict):
    code = "shadow_is_active"
    title = N_("This model is active")
    detail = N_("The active model answers everything already; only another one can run in its shadow.")


class ModelBroken(EarmarkError):
    code = "model_broken"
    title = N_("The model can't be used")
    detail = N_("{path}: {problem}. {remedy}")


class CheckpointRefused(Invalid):
    code = "checkpoint_refused"
    title = N_("The checkpoint can't be imported")
    detail = N_("{path}: {problem}.")


class ExamplesUnusable(Invalid):
    code = "examples_unusable"
    title = N_("The folder can't be learned from")
    detail = N_("{path}: {problem}.")


class DeviceMissing(EarmarkError):
    code = "device_missing"
    title = N_("No such compute device")
    detail = N_(
        "torch finds no device “{device}”. Set EARMARK_DEVICE to auto or cpu, or install the driver and a CUDA torch."
    )
