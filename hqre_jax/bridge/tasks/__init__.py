"""Tasks for language models: eleven benchmarks in four domains, judged exactly."""

from hqre_jax.bridge.tasks._interface import AbstractDialogue as AbstractDialogue
from hqre_jax.bridge.tasks._interface import AbstractDividedTask as AbstractDividedTask
from hqre_jax.bridge.tasks._interface import AbstractInteractiveTask as AbstractInteractiveTask
from hqre_jax.bridge.tasks._interface import AbstractTask as AbstractTask
from hqre_jax.bridge.tasks._interface import Item as Item
from hqre_jax.bridge.tasks._interface import Judgement as Judgement
from hqre_jax.bridge.tasks._overcooked_layout import load_overcooked_layout as load_overcooked_layout
from hqre_jax.bridge.tasks._registry import all_tasks as all_tasks
from hqre_jax.bridge.tasks._registry import task_listing as task_listing
from hqre_jax.bridge.tasks._user_file import load_user_file as load_user_file
