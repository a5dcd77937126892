"""Responses kept as they were sent: recorded while a model responds, joined meanwhile, replayed after.

``Generations`` (``generations.py``) is the way in. Whoever wants the response of a call kept says how in a ``Plan``::

    found = generations.find(plan.scope, plan.names[0]) or await generations.claim(plan)  # StoreError: store away
    if found is None:  # it is ours to make: ``proceed`` runs in a task of its own
        found = generations.start(plan, call, proceed)
    player = Player(call.edge, call.route.shape, ids=False)
    await generations.play(found, plan.scope, player, call)

``found`` is a ``Generation`` of this process or a ``Page`` of the store, of a response that is complete, or made by
another gateway, or lost (``page.recording.state``); ``play`` sends each to its end. Headers that are not recorded are
added to ``call.edge`` before that.
"""
