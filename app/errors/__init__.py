"""The error tree: every foreseen failure is a class of its own, with a stable code, a kind and its words.

EarmarkError
├── Invalid        the request can't be served as it is              400
├── Unauthenticated  nobody, or nobody we know                       401
├── Forbidden      known, but not allowed                            403
├── NotFound       no such thing (or not for this caller)            404
├── Conflict       the thing is not in a state that allows it        409
├── MethodNotAllowed  there is something here, but not for this verb  405
├── TooLarge       over a size limit                                 413
├── Unsupported    not a kind of file we can hear                    415
├── Unprocessable  understood, but it contradicts itself             422
├── TooMany        more than this caller may ask for                 429
├── Unavailable    a part is down or busy: try again later           503
└── Unexpected     a bug: the log has the traceback                  500

The kind decides the HTTP status (``app.routes.problems``) and whether a worker tries again. The words are message ids: the
API answers them in English, the portal in the reader's language, both with the same parameters filled in.
"""

from __future__ import annotations

from app.errors.accounts import *
from app.errors.base import *
from app.errors.jobs import *
from app.errors.models import *
from app.errors.requests import *
from app.errors.reviews import *
from app.errors.uploads import *
from app.errors.webhooks import *
