"""Gambit's answers, asked for in a process of its own: some paths of its have no end, and take memory as they go."""

import multiprocessing

import numpy as np

# Seconds for one game, in which a thousand of the paths that end do.
_PATIENCE = 10.0


def gambit(payoffs: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """Gambit's policies for games with one temperature, at default steps; nan where it gives up or finds no end.

    Args:
        payoffs: ``payoffs[k, i, a_1..a_N]``.
        tau: Temperature of each game.

    Returns:
        ``policies[k, i, 0, a]``.
    """
    answers = np.full((*payoffs.shape[:2], 1, max(payoffs.shape[2:])), np.nan)
    context = multiprocessing.get_context("spawn")
    workers = context.Pool(1)
    for k, (game, t) in enumerate(zip(payoffs, tau, strict=True)):
        try:
            answers[k] = workers.apply_async(_answer, (game, float(t))).get(_PATIENCE if k else 60.0)
        except multiprocessing.TimeoutError:
            workers.terminate()
            workers = context.Pool(1)
        except (RuntimeError, ValueError, IndexError):
            continue
    workers.terminate()
    return answers


def _answer(game: np.ndarray, tau: float) -> np.ndarray:
    import pygambit

    built = pygambit.Game.from_arrays(*game)
    profile = pygambit.qre.logit_solve_lambda(built, [1.0 / tau])[0].profile
    answer = np.full((len(game), 1, max(game.shape[1:])), np.nan)
    for i, player in enumerate(built.players):
        answer[i, 0, : len(player.strategies)] = [float(profile[s]) for s in player.strategies]
    return answer
