"""Goodness as the value of an action: local Q-learning on MinAtar, after ARQ (Wu & Ren 2025, arXiv:2510.06649).

pip install minatar
python arq.py breakout --steps 100000 --seeds 3
"""

import argparse
from collections import deque

import numpy as np
import torch
from minatar import Environment
from torch.nn import functional

import ffprobe

GAMMA, BATCH, RATE, COPY, CLIP = 0.99, 64, 3e-4, 500, 1.0
MEMORY, START, EVERY = 50_000, 1_000, 2
EXPLORE = (1.0, 0.05, 0.3)  # first and last probability of a random action, and the fraction of the steps between them


def build(features, actions):
    """Three layers. The label of Forward-Forward is the action: it is appended to the state as one-hot features."""
    kinds = {kind: ffprobe.registered(kind) for kind in ("network", "encoder", "normalizer", "goodness")}
    return ffprobe.LayeredNetwork(
        kinds["network"]["mlp"](width=1.0, depth=3),
        kinds["encoder"]["label-features"](),
        kinds["normalizer"]["length"](),  # the next layer cannot read the value off the length
        kinds["goodness"]["mean-square"](),
        (features,),
        actions,
    )


def values(network, states, actions):
    """The value of each action by each layer, ``[L, B]``: the root of its mean squared activation. Layers are cut."""
    x, found = network.encode(states, actions), []
    for index in range(network.depth):
        activation = network.layer(index)(x)
        found.append((network.layer(index).goodness(activation) + 1e-8).sqrt())
        if index + 1 < network.depth:
            x = network.pass_on(index, activation.detach(), {}).detach()
    return torch.stack(found)


def all_values(network, states, actions):
    """The mean over layers of the value of every action, ``[B, actions]``."""
    columns = [values(network, states, torch.full((len(states),), a)).mean(dim=0) for a in range(actions)]
    return torch.stack(columns, dim=1)


def play(game, steps, seed, learn=True):
    """Train one agent; the return of each episode, and the step at which it ended."""
    torch.manual_seed(seed)
    rng, env = np.random.default_rng(seed), Environment(game)
    env.seed(seed)
    moves = env.minimal_action_set()
    features, actions = int(np.prod(env.state_shape())), len(moves)
    network, target = build(features, actions), build(features, actions)
    target.load_state_dict(network.state_dict())
    optimizers = [torch.optim.Adam(network.layer(i).parameters(), lr=RATE) for i in range(network.depth)]
    memory, episodes, total, updates = deque(maxlen=MEMORY), [], 0.0, 0
    env.reset()
    state = env.state().astype(np.float32).ravel()
    for step in range(steps):
        chance = np.interp(step, [0, EXPLORE[2] * steps], EXPLORE[:2]) if learn else 1.0
        if rng.random() < chance:
            action = int(rng.integers(actions))
        else:
            with torch.no_grad():
                action = int(all_values(network, torch.from_numpy(state)[None], actions).argmax())
        reward, done = env.act(moves[action])
        following = env.state().astype(np.float32).ravel()
        memory.append((state, action, float(reward), following, float(done)))
        state, total = following, total + reward
        if done:
            episodes.append((step, total))
            env.reset()
            state, total = env.state().astype(np.float32).ravel(), 0.0
        if learn and step >= START and step % EVERY == 0:
            update(network, target, optimizers, memory, rng, actions)
            updates += 1
            if updates % COPY == 0:
                target.load_state_dict(network.state_dict())
    return episodes


def update(network, target, optimizers, memory, rng, actions):
    """One step of double Q-learning: every layer learns the same target from its own activation alone."""
    rows = [memory[i] for i in rng.integers(len(memory), size=BATCH)]
    s, a, r, following, done = (torch.from_numpy(np.array(column)) for column in zip(*rows, strict=True))
    with torch.no_grad():
        best = all_values(network, following, actions).argmax(dim=1)
        goal = r.float() + GAMMA * (1 - done.float()) * values(target, following, best).mean(dim=0)
    network.zero_grad()
    # layers are cut, so that the sum of their losses has the gradient of each layer's own loss
    sum(functional.smooth_l1_loss(value, goal) for value in values(network, s, a)).backward()
    for layer, optimizer in enumerate(optimizers):
        torch.nn.utils.clip_grad_norm_(network.layer(layer).parameters(), CLIP)
        optimizer.step()


def main():
    """Print the mean return of the last hundred episodes of each seed, and of random actions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("game", nargs="?", default="breakout")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)  # small matrices
    for name, learn in (("random", False), ("local Q", True)):
        results = []
        for seed in range(options.seeds):
            returns = [total for _, total in play(options.game, options.steps, seed, learn)]
            results.append(float(np.mean(returns[-100:])))
            print(f"{name}, seed {seed}: {results[-1]:.2f} over the last 100 of {len(returns)} episodes", flush=True)
        print(f"{name}: {np.mean(results):.2f} ± {np.std(results, ddof=1) if len(results) > 1 else 0:.2f}")


if __name__ == "__main__":
    main()
