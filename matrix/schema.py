"""The JSON schema of matrix.toml, for editors."""

from __future__ import annotations

import json

from matrix.config import Matrix


def schema_text() -> str:
    return json.dumps(Matrix.model_json_schema(), indent=1) + "\n"
