"""A replication package: what a paper's numbers need and come to, in one archive that anyone can run again.

The archive holds what the model itself names and nothing else. Who verifies it rebuilds the commands from a list of
words (`solve`, `compare`, `run`); no text of an archive is ever handed to a shell.
"""

from mechdsl.replication.archive import extracted, manifest_of, unlike, written
from mechdsl.replication.inputs import inputs
from mechdsl.replication.lock import Lock, lock
from mechdsl.replication.manifest import Manifest, Step, arguments
from mechdsl.replication.numbers import Difference, json_differences, table_differences
from mechdsl.replication.readme import readme, requirements, script

__all__ = [
    "Difference",
    "Lock",
    "Manifest",
    "Step",
    "arguments",
    "extracted",
    "inputs",
    "json_differences",
    "lock",
    "manifest_of",
    "readme",
    "requirements",
    "script",
    "table_differences",
    "unlike",
    "written",
]
