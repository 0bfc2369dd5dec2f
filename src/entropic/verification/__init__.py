"""The physics against its exact values: named checks, each with its p-value or its exact equality.

Above the engine, below the command line.  Checks drive the real kernels, machines and engine; the exact values beside them
(`closed_forms`, `moments`) use none of these.
"""

from entropic.verification.check import Check, Finding, Value
from entropic.verification.suite import CHECKS, FALSE_ALARM, Outcome, Report, verify

__all__ = ["CHECKS", "FALSE_ALARM", "Check", "Finding", "Outcome", "Report", "Value", "verify"]
