"""`python -m newbie_core.cli` is `newbie`."""

import sys

from newbie_core.cli.main import main

sys.exit(main())
