"""What every section of the settings is: read strictly, then never changed."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A group of settings. Complaints never repeat a value."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        defer_build=True,  # sections are checked with the whole, never by themselves
    )
