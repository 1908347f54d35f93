// What an integrator writes with types of openapi-typescript; type-checked and run by the test beside it.
// Arguments: address of the server, API key, file.
import { readFile } from "node:fs/promises";
import { argv } from "node:process";
import createClient from "openapi-fetch";
import type { components, paths } from "./earmark";

type Job = components["schemas"]["JobOut"];

const [address, key, file] = argv.slice(2) as [string, string, string];
const api = createClient<paths>({ baseUrl: address, headers: { authorization: `Bearer ${key}` } });

function must<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

async function submit(batchId: string): Promise<Job> {
  const form = new FormData();
  form.set("file", new Blob([await readFile(file)]), "a.mp3");
  const answer = await api.POST("/api/v1/jobs", {
    params: { query: { batch_id: batchId }, header: { "Idempotency-Key": "a-file" } },
    body: { file: "" },
    bodySerializer: () => form,
  });
  return must(answer);
}

async function wait(jobId: string): Promise<Job> {
  for (let round = 0; round < 100; round += 1) {
    const job = must(await api.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: jobId } } }));
    if (job.state === "done" || job.state === "failed") return job;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("not done in time");
}

const batch = must(await api.POST("/api/v1/batches", { body: { name: "From generated types", private: false } }));
const job = await wait((await submit(batch.id)).id);
const report = await api.GET("/api/v1/batches/{batch_id}/report.csv", {
  params: { path: { batch_id: batch.id } },
  parseAs: "text",
});
const missing = await api.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: batch.id } } });
console.log([job.state, job.result?.top1.genre, missing.error?.code, must(report).trim()].join("\n"));
