"""Opens the metadata service to a unit that has to ask it. `python -m images.programs.metadata vllm.service`.

The units that run the engine are kept from it (IPAddressDeny=), since it gives whoever asks the node's role, and so
the certificate's key. Only where the engine itself reads weights from the store (`model.loadFormat` stream) does it
need that role. Asked before each start, as root; exit code 1 when the unit has to wait for it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Final

from images.programs import settings
from images.programs.journal import Journal
from images.programs.leaving import units

SERVICE: Final = ("169.254.169.254", "fd00:ec2::254", "fd20:ce::254")
"""Of AWS, Azure and Google Cloud; over IPv6 of AWS and Google Cloud. Nothing streams from Tencent Cloud's store.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
https://docs.cloud.google.com/compute/docs/metadata/querying-metadata"""


async def allow(unit: str) -> None:
    """Until the next boot. Raises units.Refused."""
    # What is allowed wins over what is denied, and it holds for the unit that is starting as well
    # (https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html).
    await units.ask("set-property", "--runtime", unit, f"IPAddressAllow={' '.join(SERVICE)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="metadata", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("unit")
    unit = parser.parse_args().unit
    journal = Journal("metadata")
    try:
        if settings.load().model.load_format == "stream":
            asyncio.run(allow(unit))
            journal.tell("opened", "notice", unit=unit, detail="the engine reads its weights from the store")
    except (settings.ConfigFault, units.Refused) as fault:
        journal.tell("not opened", "error", unit=unit, detail=str(fault))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
