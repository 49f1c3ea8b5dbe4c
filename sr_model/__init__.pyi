from .checkpoints.checkpoint import Checkpoint as Checkpoint
from .checkpoints.checkpoint import load as load
from .checkpoints.tensor_file import CheckpointError as CheckpointError
from .config.presets import PRESETS as PRESETS
from .config.presets import Preset as Preset
from .config.toml import ConfigError as ConfigError
from .config.training_settings import TrainSettings as TrainSettings
from .evaluation.evaluate import evaluate as evaluate
from .evaluation.protocol import PROTOCOLS as PROTOCOLS
from .evaluation.protocol import Protocol as Protocol
from .evaluation.suite import Suite as Suite
from .networks.continuoussr.network import ContinuousSR as ContinuousSR
from .networks.continuoussr.settings import ContinuousSRSettings as ContinuousSRSettings
from .networks.gsasr.network import GSASR as GSASR
from .networks.gsasr.settings import GSASRSettings as GSASRSettings
from .training.callbacks import TrainingCallback as TrainingCallback
from .training.errors import TrainingError as TrainingError
from .training.schedule import Budget as Budget
from .training.tensorboard import TensorBoard as TensorBoard
from .training.train import train as train
from .upscaling.batch import upscale_folder as upscale_folder
from .upscaling.files import UpscaleRequest as UpscaleRequest
from .upscaling.files import upscale_file as upscale_file
from .upscaling.upscale import upscale as upscale

__version__: str
