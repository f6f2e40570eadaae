"""`resume`: let a suspended Pipeline go on."""

from task_pipeline.cli.commands.suspend import switch

command = switch("resume", "Let a suspended Pipeline go on.", False, "resumed")
