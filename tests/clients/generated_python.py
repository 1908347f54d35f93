"""What an integrator writes with the generated Python client; type-checked and run by the test beside it.

Arguments: address of the server, API key, file.
"""

from __future__ import annotations

import sys
import time
from io import BytesIO
from pathlib import Path

from client import AuthenticatedClient  # type: ignore[import-not-found, unused-ignore]
from client.api.batches import close_batch, create_batch, get_batch_report_csv
from client.api.jobs import create_job, get_job
from client.models import BatchDetailOut, CreateJobFilesBody, JobOut, JobState, NewBatch, Problem
from client.types import File


def submit(api: AuthenticatedClient, batch: BatchDetailOut, path: Path) -> JobOut:
    file = File(payload=BytesIO(path.read_bytes()), file_name=path.name, mime_type="audio/mpeg")
    job = create_job.sync(client=api, body=CreateJobFilesBody(file=file), batch_id=batch.id, idempotency_key="a-file")
    assert isinstance(job, JobOut), job
    return job


def wait(api: AuthenticatedClient, job: JobOut) -> JobOut:
    for _ in range(100):
        found = get_job.sync(job.id, client=api)
        assert isinstance(found, JobOut), found
        if found.state in {JobState.DONE, JobState.FAILED}:
            return found
        time.sleep(0.2)
    raise TimeoutError


def main(address: str, key: str, path: Path) -> None:
    with AuthenticatedClient(base_url=address, token=key) as api:
        batch = create_batch.sync(client=api, body=NewBatch(name="From a generated client"))
        assert isinstance(batch, BatchDetailOut), batch
        job = submit(api, batch, path)
        assert submit(api, batch, path).id == job.id
        done = wait(api, job)
        assert done.result is not None
        close_batch.sync(batch.id, client=api)
        report = get_batch_report_csv.sync_detailed(batch.id, client=api)
        missing = get_job.sync(batch.id, client=api)
        assert isinstance(missing, Problem)
        print(done.state, done.result.top1.genre, missing.code, sep="\n")
        sys.stdout.buffer.write(report.content)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
