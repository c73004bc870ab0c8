"""Language models behind one interface: messages and sampling controls in, text and token counts out."""

from hqre_jax.bridge.models._adapter_files import load_adapter as load_adapter
from hqre_jax.bridge.models._adapter_files import save_adapter as save_adapter
from hqre_jax.bridge.models._adapters import Adapter as Adapter
from hqre_jax.bridge.models._adapters import Lora as Lora
from hqre_jax.bridge.models._adapters import LoraConfig as LoraConfig
from hqre_jax.bridge.models._adapters import init_adapter as init_adapter
from hqre_jax.bridge.models._adapters import merged as merged
from hqre_jax.bridge.models._adapters import stacked as stacked
from hqre_jax.bridge.models._adapters import with_adapter as with_adapter
from hqre_jax.bridge.models._interface import AbstractModel as AbstractModel
from hqre_jax.bridge.models._interface import Controls as Controls
from hqre_jax.bridge.models._interface import Failure as Failure
from hqre_jax.bridge.models._interface import Message as Message
from hqre_jax.bridge.models._interface import Reply as Reply
from hqre_jax.bridge.models._interface import Request as Request
from hqre_jax.bridge.models._interface import Usage as Usage
from hqre_jax.bridge.models._local import LocalModel as LocalModel
from hqre_jax.bridge.models._python import from_python as from_python
from hqre_jax.bridge.models._registry import Source as Source
from hqre_jax.bridge.models._registry import available as available
from hqre_jax.bridge.models._registry import fetch as fetch
from hqre_jax.bridge.models._registry import load as load
from hqre_jax.bridge.models._sampling import Completion as Completion
from hqre_jax.bridge.models._sampling import Prompt as Prompt
from hqre_jax.bridge.models._sampling import sample_completions as sample_completions
