"""The processes behind the queue: `analysis` computes, `chores` tidies up."""
