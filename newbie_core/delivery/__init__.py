"""Copy a version out as others take it: names, channels, game and chat formats, data packages, rights."""

from newbie_core.delivery.channels import find_channels
from newbie_core.delivery.delivering import Delivered, Order, deliver
from newbie_core.delivery.names import Pattern, read_pattern

__all__ = ["Delivered", "Order", "Pattern", "deliver", "find_channels", "read_pattern"]
