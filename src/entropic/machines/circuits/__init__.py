"""Gate circuits on tape bits: reversible ones cost nothing and are undone, overwriting ones pay for what they erase."""

from entropic.machines.circuits.adder import Adder, AdderBill, adder_bills, cuccaro_adder, naive_adder, table
from entropic.machines.circuits.bennett import Bennett, make_reversible
from entropic.machines.circuits.bill import Bill, Erasure, bill_of_words, loss_of_words
from entropic.machines.circuits.circuit import (
    MOST_EXHAUSTIVE,
    Circuit,
    NotBijectiveError,
    check_bijection,
    truth_table,
)
from entropic.machines.circuits.gates import (
    AND,
    CNOT,
    ERASE,
    FREDKIN,
    NAND,
    NOT,
    OR,
    TOFFOLI,
    XOR,
    Gate,
    GateName,
    GateShapeError,
    RepeatedWireError,
    WireRangeError,
)
from entropic.machines.circuits.lanes import LaneError, from_integers, from_tape, to_integers, to_tape
from entropic.machines.circuits.uniform import DiagramSizeError, bill_of_uniform

__all__ = [
    "AND",
    "CNOT",
    "ERASE",
    "FREDKIN",
    "MOST_EXHAUSTIVE",
    "NAND",
    "NOT",
    "OR",
    "TOFFOLI",
    "XOR",
    "Adder",
    "AdderBill",
    "Bennett",
    "Bill",
    "Circuit",
    "DiagramSizeError",
    "Erasure",
    "Gate",
    "GateName",
    "GateShapeError",
    "LaneError",
    "NotBijectiveError",
    "RepeatedWireError",
    "WireRangeError",
    "adder_bills",
    "bill_of_uniform",
    "bill_of_words",
    "check_bijection",
    "cuccaro_adder",
    "from_integers",
    "from_tape",
    "loss_of_words",
    "make_reversible",
    "naive_adder",
    "table",
    "to_integers",
    "to_tape",
    "truth_table",
]
