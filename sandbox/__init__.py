"""Run one program under limits. Knows nothing of jobs, Redis or HTTP."""
