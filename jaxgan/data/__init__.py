"""Datasets, by name, and their batches."""

from ml_collections import ConfigDict

from jaxgan.data.dataset import Dataset


def load(config: ConfigDict) -> Dataset:
    """The dataset that `config.dataset` names, at the size it asks for.

    "digits" is embedded; any other name is one of TensorFlow Datasets'.

    Raises:
      UserError: if the name is unknown, the data is not there, or a batch is larger than the data.
    """
    if config.dataset.name == "digits":
        from jaxgan.data import digits

        dataset = digits.load(config.dataset.size)
    else:
        from jaxgan.data import tfds

        dataset = tfds.load(
            config.dataset.name,
            config.dataset.data_dir,
            config.dataset.size,
            config.dataset.validation,
        )
    dataset = dataset.only(config.dataset.classes)
    dataset.require_batch(config.discriminator_batch_size or config.batch_size)
    return dataset
