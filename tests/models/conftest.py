"""Bundles are hundreds of megabytes; pytest would keep those of three runs."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(autouse=True)
def _leave_no_gigabytes(tmp_path):
    yield
    shutil.rmtree(tmp_path)
