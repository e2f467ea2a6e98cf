"""The Python client of the service.

with MtsClient() as client:
    job = client.wait(client.train(spec).id)
    print(job.result["metrics"])
"""

from ray_app.client.client import MtsClient
from ray_app.client.errors import MtsApiError, MtsConnectionError, MtsError
from ray_app.client.types import ModelDetails, ModelVersion

__all__ = ["ModelDetails", "ModelVersion", "MtsApiError", "MtsClient", "MtsConnectionError", "MtsError"]
