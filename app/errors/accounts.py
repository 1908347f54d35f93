"""People, their API keys and what they keep for themselves."""

from __future__ import annotations

from app.errors.base import N_, Conflict, Forbidden, Invalid, NotFound


class SavedViewNotFound(NotFound):
    code = "saved_view_not_found"
    title = N_("No such view")
    detail = N_("There is no such saved view, or it is somebody else's.")


class SavedViewLimit(Conflict):
    code = "saved_view_limit"
    title = N_("Too many saved views")
    detail = N_("A person can have {maximum} saved views. Delete one that is no longer needed.")


class UserNotFound(NotFound):
    code = "user_not_found"
    title = N_("No such person")
    detail = N_("There is no such person.")


class LastAdministrator(Conflict):
    code = "last_administrator"
    title = N_("Somebody must stay administrator")
    detail = N_("You can't take your own administrator's role away. Ask another administrator to do it.")


class SignInRefused(Forbidden):
    code = "sign_in_refused"
    title = N_("Sign-in was not possible")
    detail = N_("The sign-in has expired, was already used, or your account has no access to Earmark.")


class ApiKeyNameTaken(Conflict):
    code = "api_key_name_taken"
    title = N_("The name is taken")
    detail = N_("There is already an API key called “{name}”.")


class ApiKeyExpired(Invalid):
    code = "api_key_expired"
    title = N_("The key would never work")
    detail = N_("The time at which the key expires must lie in the future.")


class ApiKeyLimit(Conflict):
    code = "api_key_limit"
    title = N_("Too many API keys")
    detail = N_("A person can have {most} valid API keys. Revoke one that is no longer needed.")


class ApiKeyNotFound(NotFound):
    code = "api_key_not_found"
    title = N_("No such API key")
    detail = N_("There is no valid API key called “{name}”.")
