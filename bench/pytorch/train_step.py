"""One Adam step of the post-norm encoder-decoder Transformer of Vaswani et al. 2017 in PyTorch, eager, on the CPU.

Embeddings and output share one matrix; dropout where torch.nn.Transformer puts it (after the
embeddings, on attention weights, inside the feed-forward layer, on every residual branch). No padding.
Sizes come from the environment: LAYERS (in each of encoder and decoder), D_MODEL, D_FEED_FORWARD, HEADS, VOCABULARY,
TIME (tokens a side), BATCH, DROPOUT, LABEL_SMOOTHING, THREADS.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from protocol import number, serve

layers, d_model, d_feed_forward = number("LAYERS", 4), number("D_MODEL", 128), number("D_FEED_FORWARD", 256)
heads, vocabulary, length = number("HEADS", 4), number("VOCABULARY", 10_000), number("TIME", 32)
batch, dropout, label_smoothing = number("BATCH", 8), number("DROPOUT", 0.3), number("LABEL_SMOOTHING", 0.1)
torch.set_num_threads(number("THREADS", 2))
torch.manual_seed(1)


def sinusoids(time, width):
    """[time, width], sines in the even columns and cosines in the odd ones; section 3.5 of the paper."""
    angle = torch.arange(time)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    return torch.stack((angle.sin(), angle.cos()), -1).reshape(time, width)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, d_model)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        self.transformer = nn.Transformer(d_model, heads, layers, layers, d_feed_forward, dropout, batch_first=True)
        # torch.nn.Transformer ends both stacks with one more norm, which the paper's post-norm model does not have.
        self.transformer.encoder.norm = self.transformer.decoder.norm = None
        self.register_buffer("positions", sinusoids(length, d_model))
        self.register_buffer("causal", torch.triu(torch.full((length, length), -math.inf), 1))

    def embed(self, ids):
        return F.dropout(self.embedding(ids) * math.sqrt(d_model) + self.positions, dropout)

    def forward(self, source, target):
        hidden = self.transformer(self.embed(source), self.embed(target), tgt_mask=self.causal)
        return F.linear(hidden, self.embedding.weight)  # [batch, time, vocabulary]


model = Model()
# The fastest Adam of this PyTorch on the CPU: one call per arithmetic operation over the list of all parameters.
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-9, foreach=True)
source, target, labels = (torch.randint(0, vocabulary, (batch, length)) for _ in range(3))


def step():
    optimizer.zero_grad(set_to_none=True)
    logits = model(source, target)
    loss = F.cross_entropy(logits.view(-1, vocabulary), labels.view(-1), label_smoothing=label_smoothing)
    loss.backward()
    optimizer.step()
    return loss.item()


def check():
    """The loss of this one batch, before and after 20 steps: it must fall."""
    first = step()
    for _ in range(19):
        last = step()
    return dict(firstLoss=first, lastLoss=last, parameters=sum(p.numel() for p in model.parameters()))


serve(step, check)
