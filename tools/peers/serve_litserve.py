"""The network behind LitServe: decoding in its own step, batches formed by the server."""

import os
from typing import Any

import litserve
from listening import load_network, pictures_of, probabilities

_MOST_CLIPS = 8
_PATIENCE_S = 0.01


class Listening(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002  LitServe's signature
        self.network, self.dtype = load_network()

    def decode_request(self, request):  # noqa: ANN001, ANN201  LitServe takes a form as it is from a method without types
        return pictures_of(request["file"].file.read())

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, x: Any) -> list[list[float]]:
        return probabilities(self.network, self.dtype, x if isinstance(x, list) else [x])

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        return output

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        return {"probabilities": output}


if __name__ == "__main__":
    api = Listening(max_batch_size=_MOST_CLIPS, batch_timeout=_PATIENCE_S)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=600)
    server.run(host="127.0.0.1", port=int(os.environ["EARMARK_PEER_PORT"]), generate_client_file=False)
