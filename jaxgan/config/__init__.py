"""Configs: their keys, presets and validation.

Importing it loads no JAX, so that a mistake on the command line is reported at once.
"""

from jaxgan.common.errors import UserError as UserError
from jaxgan.config.files import named as named
from jaxgan.config.keys import KEYS as KEYS
from jaxgan.config.keys import PLACES as PLACES
from jaxgan.config.keys import Key as Key
from jaxgan.config.presets import apply_argument as apply_argument
from jaxgan.config.presets import base as base
from jaxgan.config.presets import changed_keys as changed_keys
from jaxgan.config.presets import get as get
from jaxgan.config.presets import leaves as leaves
from jaxgan.config.presets import nearest as nearest
from jaxgan.config.presets import parse_value as parse_value
from jaxgan.config.presets import refuse_changes as refuse_changes
from jaxgan.config.presets import update as update
from jaxgan.config.presets import wrong_type as wrong_type
