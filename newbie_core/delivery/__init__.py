"""Copy a version out as others take it: names, channels, formats, rights, signatures, workbooks."""

from newbie_core.delivery.channels import find_channels
from newbie_core.delivery.delivering import Delivered, Order, deliver
from newbie_core.delivery.names import Pattern, read_pattern
from newbie_core.delivery.signing import Signer, read_signer
from newbie_core.delivery.writeback import Writeback, WrittenBack, write_back

__all__ = [
    "Delivered",
    "Order",
    "Pattern",
    "Signer",
    "Writeback",
    "WrittenBack",
    "deliver",
    "find_channels",
    "read_pattern",
    "read_signer",
    "write_back",
]
