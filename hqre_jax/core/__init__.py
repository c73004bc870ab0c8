"""What everything speaks of: axes, arrays, input errors, results, simplices, temperatures, programs, checkpoints."""
