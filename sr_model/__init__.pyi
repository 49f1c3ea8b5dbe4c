from .checkpoints.checkpoint import Checkpoint as Checkpoint
from .checkpoints.checkpoint import load as load
from .checkpoints.tensor_file import CheckpointError as CheckpointError
from .config.presets import PRESETS as PRESETS
from .config.presets import Preset as Preset
from .config.training_settings import TrainSettings as TrainSettings
from .evaluation.evaluate import evaluate as evaluate
from .evaluation.protocol import PROTOCOLS as PROTOCOLS
from .networks.continuoussr.network import ContinuousSR as ContinuousSR
from .networks.continuoussr.settings import ContinuousSRSettings as ContinuousSRSettings
from .networks.gsasr.network import GSASR as GSASR
from .networks.gsasr.settings import GSASRSettings as GSASRSettings
from .training.schedule import Budget as Budget
from .training.state import TrainingError as TrainingError
from .training.train import train as train
from .upscaling.upscale import upscale as upscale

__version__: str
